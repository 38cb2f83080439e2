from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from nnsight import TransformersModel

import icl_vectors as icl
from icl_vectors.engine import check as checking
from icl_vectors.engine.check import BATCHED, CACHED, CHANGES, OWN, check
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.experiments.compare import compare
from icl_vectors.graph import checks as graph_of_checks
from icl_vectors.models.load import Model, load_model
from tests.listener import Listener
from tests.tiny import Tiny, bytes_tokenizer, random_model, save_model

EQUAL = (OWN, BATCHED, CACHED)
SETTINGS: dict[str, Any] = {"tasks": ["country_capital"], "dev": 3, "test": 3}


def failing(found: checking.Checks) -> set[str]:
    return {one.name for one in found.checks if not one.passed}


def test_all_holds_for_each_family(tiny: Tiny) -> None:
    found = check(tiny.model)
    assert found.passed, found
    by_name = {one.name: one for one in found.checks}
    assert by_name[OWN].measured == 0
    assert all(by_name[name].measured < 1e-5 for name in EQUAL)
    assert by_name[CHANGES].measured > 1e-3
    found.require()


def test_a_batch_is_padded_where_the_tokenizer_lets_it(llama: Model) -> None:
    [remark] = [one.remark for one in check(llama).checks if one.name == BATCHED]
    assert int(remark.split()[1]) > 0


def test_another_template_and_an_nnsight_model_are_taken(llama: Model, llama_folder: Path) -> None:
    opened = TransformersModel(str(llama_folder), task="text-generation", dispatch=True)
    opened.tokenizer = llama.tokenizer
    assert check(opened, template="paper").passed
    with pytest.raises(IclVectorsError, match="expected an arrow"):
        check(llama, template="{input}{output}")


@contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    yield
    for handle in handles:
        handle.remove()


def before_each_pass(model: Model, change: Callable[[dict[str, Any]], None]) -> Any:
    """Changes what the model is called with."""

    def hook(module: Any, positional: Any, named: dict[str, Any]) -> Any:
        named = dict(named)
        change(named)
        return positional, named

    return model.nnsight._module.register_forward_pre_hook(hook, with_kwargs=True)


def ignore_the_mask(named: dict[str, Any]) -> None:
    named["attention_mask"] = torch.ones_like(named["attention_mask"])


def count_positions_anew(named: dict[str, Any]) -> None:
    ids = named["input_ids"]
    named["position_ids"] = torch.arange(ids.shape[1]).expand_as(ids)


@pytest.fixture
def own(tmp_path: Path) -> Model:
    """A tiny Llama of its own, to be broken."""
    return load_model(str(save_model(tmp_path / "own", random_model("llama"), bytes_tokenizer())))


def test_a_model_that_attends_to_padding_is_found(own: Model) -> None:
    with hooked(before_each_pass(own, ignore_the_mask)):
        found = check(own)
    assert failing(found) == {BATCHED}
    with pytest.raises(RunError, match=r"expected that batched equals single \(at most 0.0001"):
        found.require()


def test_a_model_that_counts_positions_anew_on_its_cache_is_found(own: Model) -> None:
    with hooked(before_each_pass(own, count_positions_anew)):
        assert CACHED in failing(check(own))


def test_a_block_whose_output_is_not_what_the_next_one_reads_is_found(own: Model) -> None:
    module = own.nnsight._module
    first, second = (module.get_submodule(own.architecture.blocks[at]) for at in (1, 2))
    kept: list[torch.Tensor] = []

    def keep(block: Any, positional: Any, named: Any) -> None:
        kept[:] = [positional[0] if positional else named["hidden_states"]]

    def read_kept(block: Any, positional: Any, named: Any) -> Any:
        return (kept[0], *positional[1:]), named

    handles = [
        block.register_forward_pre_hook(hook, with_kwargs=True)
        for block, hook in ((first, keep), (second, read_kept))
    ]
    with hooked(*handles):
        found = check(own)
    [weakest] = [one for one in found.checks if one.name == CHANGES]
    assert not weakest.passed and weakest.measured == 0
    assert weakest.remark.startswith("at block 1, ")
    with pytest.raises(RunError, match="expected that .* found .* results would be invalid"):
        found.require()


def test_a_model_left_in_training_is_found(own: Model) -> None:
    module = own.nnsight._module
    module.config.attention_dropout = 0.5
    for block in module.model.layers:
        block.self_attn.attention_dropout = 0.5
    module.train()
    assert {OWN, BATCHED, CACHED} <= failing(check(own))


def test_states_that_are_not_finite_are_no_difference(own: Model) -> None:
    own.nnsight._module.model.layers[2].mlp.down_proj.weight.data.fill_(torch.inf)
    with pytest.raises(RunError, match="states or logits hold NaN or infinity in float32 on cpu"):
        check(own)


def test_no_experiment_goes_on_with_a_model_that_fails(own: Model, tmp_path: Path) -> None:
    two = ["en_es", "en_fr"]
    finished = tmp_path / "finished"
    icl.sweep(own, **{**SETTINGS, "tasks": two}, output=finished)
    checking._CHECKED.discard(own.nnsight)
    shared: dict[str, Any] = {"dev": 3, "test": 3, "observer": (seen := Listener())}
    runs: list[Callable[[], Any]] = [
        lambda: icl.sweep(own, **SETTINGS, observer=seen, output=tmp_path / "run"),
        lambda: icl.cluster(own, two, output=finished, layer=1, per_task=2, **shared),
        lambda: icl.conflict(own, "en_es:en_fr", output=finished, **shared),
        lambda: compare(own, two, output=tmp_path / "compared", **shared),
        lambda: icl.vocabulary(own, two, output=finished, **shared),
    ]
    with hooked(before_each_pass(own, ignore_the_mask)):
        for run in runs:
            with pytest.raises(RunError, match="expected that batched equals single"):
                run()
    assert seen.phases == []
    assert own.nnsight not in checking._CHECKED


def test_a_model_is_checked_once(
    own: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Any] = []
    as_it_is = graph_of_checks.run_checks

    def counted(model: Model, *given: Any) -> Any:
        checked.append(given[-1])
        return as_it_is(model, *given)

    monkeypatch.setattr(checking, "run_checks", counted)
    icl.sweep(own, **SETTINGS, output=tmp_path / "run")
    icl.sweep(own, **SETTINGS, seeds=[7])
    assert checked == [[[0, 1, 3]]]
    checking._CHECKED.discard(own.nnsight)
    icl.sweep(own, **SETTINGS, output=tmp_path / "run")
    assert len(checked) == 1
