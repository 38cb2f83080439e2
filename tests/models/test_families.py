from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoConfig

from icl_vectors.errors import IclVectorsError
from icl_vectors.models.architecture import find_architecture
from icl_vectors.models.meta import meta_model
from tests.families import ENCODERS, FAMILIES, all_families
from tests.families_table import DOCUMENT, listed, made_with
from tests.family_check import Checked, check_family, is_exact
from tests.family_process import try_family
from tests.tiny import HIDDEN, N_LAYERS

pytestmark = pytest.mark.filterwarnings("ignore:Module .* has a submodule named:UserWarning")


@pytest.fixture(scope="module", params=FAMILIES)
def checked(request: pytest.FixtureRequest) -> Checked:
    return check_family(str(request.param))


def test_the_twins_answers_differ_by_prompt_and_by_layer(checked: Checked) -> None:
    swept = checked.expected["dev_hypothesis"]
    assert len({token for layer in swept for token in layer}) >= 3
    assert len({tuple(layer) for layer in swept}) >= 2


def test_the_grouped_cached_sweep_gives_every_answer_of_the_naive_one(checked: Checked) -> None:
    assert checked.together["dev_swept"].T.tolist() == checked.expected["dev_hypothesis"]
    baseline, hypothesis = checked.together["test_answers"].T.tolist()
    assert baseline == checked.expected["baseline"]
    assert hypothesis == checked.expected["hypothesis"]
    assert checked.together["test_own"][:, 0].tolist() == checked.expected["regular"]


def test_theta_is_the_state_at_the_arrow_of_plain_hooks(checked: Checked) -> None:
    theta, expected = checked.together["theta"], checked.expected["theta"]
    assert theta.shape == (N_LAYERS, HIDDEN)
    assert_close(theta, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_a_padded_batch_answers_as_one_prompt_at_a_time(checked: Checked) -> None:
    for name in ("dev_swept", "dev_own", "test_own", "test_answers", "best"):
        assert torch.equal(*(torch.as_tensor(f[name]) for f in (checked.together, checked.single)))
    scale = float(checked.single["theta"].abs().max())
    assert_close(checked.together["theta"], checked.single["theta"], rtol=1e-4, atol=1e-5 * scale)


def test_the_projection_is_final_norm_and_head(checked: Checked) -> None:
    assert checked.projected is not None
    probabilities, tokens = checked.projected
    expected, expected_tokens = checked.projected_by_hand
    assert tokens.tolist() == expected_tokens.tolist()
    assert_close(probabilities, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("family", ENCODERS)
def test_other_models_are_refused_in_one_line_before_any_weight_is_there(family: str) -> None:
    settings, reason = ENCODERS[family]
    config: Any = AutoConfig.for_model(family, **settings)
    with pytest.raises(IclVectorsError) as raised:
        find_architecture(meta_model(config))
    message = str(raised.value)
    assert message.startswith(f"model type {family!r} ") and reason in message
    assert "\n" not in message and "expected a decoder-only language model" in message


EXACT = ("gemma4", "qwen3_5", "mamba2", "jamba", "mistral3", "gemma3n_text", "mllama", "git")
WHOLE = ("qwen3_5_text", "mamba2", "jamba", "gemma3n_text", "deepseek_v4", "lfm2_moe", "rwkv")
OTHERS = [family for family in all_families() if family not in FAMILIES]


@pytest.mark.families
@pytest.mark.parametrize("family", OTHERS)
def test_every_family_is_exact_or_refused_in_a_line(family: str) -> None:
    # a family of a newer transformers that the table does not list is tried all the same
    outcome = try_family(family)
    runs, known = family in listed(), made_with() in DOCUMENT.read_text("utf-8")
    if outcome.result == "too slow" or not runs and (outcome.result == "not made" or not known):
        pytest.skip(outcome.reason)
    assert outcome.result == "runs" or outcome.result == "refused" and not runs, outcome.reason
    assert outcome.exact if outcome.result == "runs" else "\n" not in outcome.reason


@pytest.mark.parametrize("family", EXACT)
def test_theta_and_every_answer_are_those_of_plain_hooks_on_whole_prompts(family: str) -> None:
    checked = check_family(family)
    assert is_exact(checked)
    assert len({token for layer in checked.expected["dev_hypothesis"] for token in layer}) >= 3


def test_theta_is_no_words_where_they_depend_on_earlier_states() -> None:
    assert check_family("reformer").projected is None


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_a_wrapper_whose_package_lacks_is_refused_with_its_name() -> None:
    with pytest.raises(IclVectorsError, match="packages that transformers needs.*pip install timm"):
        meta_model(AutoConfig.for_model("gemma3n"))


@pytest.mark.parametrize("family", WHOLE)
def test_a_model_that_keeps_more_than_keys_and_values_runs_whole_prompts(family: str) -> None:
    model = check_family(family).model
    assert model.way.name == "whole" and model.way_reason


def test_the_docs_list_at_least_125_families() -> None:
    assert len(listed()) >= 125
