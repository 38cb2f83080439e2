from pathlib import Path
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.experiments.few_labels import beats, best_apart
from icl_vectors.models.load import Model
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.report.compare.text import text
from icl_vectors.report.statistics import task_means
from icl_vectors.report.sweep.tables import tasks_table
from icl_vectors.report.sweep.text import sweep_table
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from icl_vectors.runs.schema import BEGIN_ALIKE, COPIES, TaskResult, untold
from icl_vectors.scoring import wilson
from tests.made import ALIKE, INPUTS, LABELS, PARITY, SHARING, save_made

SMALL: dict[str, Any] = {"shots": 4, "dev": 30, "test": 40}
ONE: dict[str, Any] = {"dummies": 1}  # two dummies give both labels, which leaves no prompt apart


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return icl.load_model(str(save_made(tmp_path_factory.mktemp("made"))))


@pytest.fixture(scope="module")
def constant(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return icl.load_model(str(save_made(tmp_path_factory.mktemp("constant"), constant=True)))


KEPT: dict[str, dict[str, Any]] = {}  # what a sweep gave, by what was asked


def entry(model: Model, task: icl.Task = PARITY, **options: Any) -> dict[str, Any]:
    asked = repr((model.reference, task.name, sorted(options.items())))
    if "output" in options or asked not in KEPT:
        (found,) = icl.sweep(model, [task], **{**SMALL, **options}).data["tasks"]
        KEPT[asked] = dict(found)
    return KEPT[asked]


def test_theta_carries_two_labels_beside_a_constant(made: Model, tmp_path: Path) -> None:
    found = entry(made, output=tmp_path)
    assert (found["best_layer"], found["hypothesis"]["accuracy"]) == (0, 1.0)
    assert (found["n_answers"], found["n_first_tokens"], found["n_labels"]) == (2, 2, 2)
    assert found["beats_constant"] is True and found["beats_baseline"] is True
    assert found["fails"] == [] and not found["begin_alike"]
    prompts = read_lines(tmp_path / "prompts.jsonl")
    dev, test = (
        [one["answers"][0] for one in prompts if one["split"] == split] for split in ("dev", "test")
    )
    hits = test.count(max(LABELS, key=dev.count))
    low, high = wilson(hits, 40)
    assert found["constant"] == pytest.approx({"accuracy": hits / 40, "low": low, "high": high})
    assert found["apart"] == {"n": 0, "hypothesis": None, "regular": None}, "of two dummies"
    with pytest.raises(icl.IclVectorsError, match="lower --dummies"):
        entry(made, choose_layer="apart")


def test_apart_holds_the_prompts_whose_answers_no_dummy_gives(made: Model, tmp_path: Path) -> None:
    found = entry(made, output=tmp_path, **ONE)
    odd = {text: index % 2 for index, text in enumerate(INPUTS)}

    def own(prompt: Any, query: str) -> int:  # the made model's: the parity of most words shown
        shown = [odd[text] for text, _ in prompt["demonstrations"]] + [odd[query]]
        return int(sum(shown) > 2)

    apart = [
        p
        for p in read_lines(tmp_path / "prompts.jsonl")
        if p["split"] == "test"
        and odd[p["query"]] not in {odd[dummy] for dummy in p["dummies"]}
        and odd[p["query"]] not in {own(p, dummy) for dummy in p["dummies"]}
    ]
    right = sum(own(p, p["query"]) == odd[p["query"]] for p in apart)
    assert found["apart"]["n"] == len(apart) > 0
    assert found["apart"]["hypothesis"]["accuracy"] == 1.0
    assert found["apart"]["regular"]["accuracy"] == pytest.approx(right / len(apart))
    assert found["dev_apart_by_layer"] == [1.0, 0.0, 0.0]


def test_a_block_that_holds_the_dummys_answer_is_flagged(made: Model) -> None:
    found = entry(made, layers="1:", **ONE)
    assert found["copied"]["hypothesis"]["accuracy"] == 1.0
    assert found["apart"]["hypothesis"]["accuracy"] == 0.0
    assert found["beats_constant"] is False and found["fails"] != []
    many = entry(made, layers="1:", test=120, **ONE)
    assert many["apart"]["n"] >= 10 and COPIES in many["fails"]


def test_a_model_that_always_answers_one_label_is_flagged(constant: Model) -> None:
    found = entry(constant)
    assert found["hypothesis"] == found["regular"]
    assert found["beats_constant"] is False and found["fails"] == ["answers a constant"]


def test_too_few_prompts_are_no_failure_yet_no_success(made: Model) -> None:
    data = icl.sweep(made, [PARITY], **{**SMALL, "test": 5}).data
    (found,) = data["tasks"]
    assert (found["hypothesis"]["accuracy"], found["baseline"]["accuracy"]) == (1.0, 0.0)
    assert found["beats_baseline"] is None and found["beats_constant"] is None
    assert untold(found["fails"])
    (says,) = found["fails"]
    assert says.startswith("too few prompts to tell it from a constant answer and the baseline (")
    assert says.endswith(" and 5 differ, 6 needed); try --test 50")
    shown = sweep_table(data)
    assert says in shown and "counted as no success" in shown
    assert "does not carry" not in shown
    table = tasks_table(task_means([TaskResult.model_validate(found)]))
    at = [column.title for column in table.columns].index("flags")
    assert f"{says}: counted as no success" in table.rows[0][at].text


def test_one_answer_for_all_inputs_is_no_task(constant: Model) -> None:
    found = entry(constant, icl.Task.from_pairs("one", [(text, LABELS[0]) for text in INPUTS]))
    assert found["hypothesis"]["accuracy"] == found["constant"]["accuracy"] == 1.0
    assert (found["n_labels"], found["beats_constant"]) == (1, None)
    assert found["fails"] == ["answers a constant"]


def test_answers_that_begin_alike_are_marked_and_left_out_of_the_means(constant: Model) -> None:
    data = icl.sweep(constant, [PARITY, ALIKE], **SMALL).data
    parity, alike = data["tasks"]
    assert (alike["hypothesis"]["accuracy"], alike["regular"]["accuracy"]) == (1.0, 1.0)
    assert (alike["n_answers"], alike["n_first_tokens"]) == (2, 1)
    assert alike["begin_alike"] and alike["fails"] == [BEGIN_ALIKE]
    assert data["summary"]["left_out"] == {"alike": BEGIN_ALIKE}
    assert data["summary"]["hypothesis"] == parity["hypothesis"]["accuracy"]
    assert icl.sweep(constant, [ALIKE], **SMALL).data["summary"]["hypothesis"] is None


def test_whole_answers_tell_apart_what_begins_alike(constant: Model) -> None:
    found = entry(constant, ALIKE, answer="generate")
    assert not found["begin_alike"]
    assert found["constant"]["accuracy"] < 1.0  # of a whole answer
    assert found["hypothesis"]["accuracy"] == 0.0 and "answers a constant" in found["fails"]


def test_labels_are_told_apart_by_all_their_tokens(constant: Model, tmp_path: Path) -> None:
    found = entry(constant, ALIKE, answer="labels", output=tmp_path)
    assert not found["begin_alike"] and found["answer"] == "labels"
    assert found["hypothesis"]["first_token"]["accuracy"] == 1.0  # which tells nothing
    assert found["hypothesis"]["accuracy"] < 1.0 and "answers a constant" in found["fails"]
    samples = [one for one in read_lines(tmp_path / "samples.jsonl") if one["split"] == "test"]
    assert {one["prediction"] for one in samples} <= set(SHARING)
    right = {one["id"]: one["answers"][0] for one in read_lines(tmp_path / "prompts.jsonl")}
    assert all(one["correct"] == (one["prediction"] == right[one["id"]]) for one in samples)
    assert all(one["first_token"] for one in samples if one["method"] == "hypothesis")


def test_the_plain_accuracy_stands_beside_that_of_labels(made: Model) -> None:
    plain, labels = entry(made), entry(made, answer="labels")
    assert labels["baseline"]["first_token"] == plain["baseline"]
    assert plain["baseline"]["accuracy"] == 0.0 < labels["baseline"]["accuracy"]
    assert labels["hypothesis"]["first_token"] == plain["hypothesis"]


def test_a_comparison_says_what_a_constant_earns_and_what_is_left_apart(made: Model) -> None:
    options: dict[str, Any] = {**SMALL, **ONE, "methods": "state,icv", "controls": "random"}
    sweep = entry(made, **ONE)
    found = icl.compare(made, [PARITY], **options).data["compare"]
    by_method = {one["method"]: one for one in found}
    for one in found:
        for key in ("n_answers", "n_first_tokens", "n_labels", "begin_alike", "constant"):
            assert one[key] == sweep[key], key
        assert one["apart"]["n"] == sweep["apart"]["n"] > 0
        assert ("fails" in one) is (one["method"] in ("state", "icv"))
    state = by_method["state"]
    of_state = {key: state["apart"][key] for key in ("accuracy", "low", "high")}
    assert of_state == sweep["apart"]["hypothesis"]
    assert (state["beats_constant"], state["beats_baseline"], state["fails"]) == (True, True, [])
    assert by_method["icv"]["fails"] != []


def test_a_comparison_leaves_out_what_begins_alike(constant: Model) -> None:
    options: dict[str, Any] = {**SMALL, "methods": "state", "controls": "none"}
    results = icl.compare(constant, [ALIKE], **options)
    assert results.data["compare"][-1]["accuracy"] == 1.0
    assert results.data["compare"][-1]["fails"] == [BEGIN_ALIKE]
    assert results.data["compare_summary"] == []
    assert BEGIN_ALIKE in text(results.data)
    data = icl.compare(constant, [ALIKE], answer="labels", **options).data
    assert data["compare"][-1]["accuracy"] < 1.0 == data["compare"][-1]["first_token"]["accuracy"]
    assert {one["method"] for one in data["compare_summary"]} == {"regular", "zero-shot", "state"}


def test_few_answers_among_many_that_begin_alike_are_no_matter(constant: Model) -> None:
    some = [(text, text if index > 5 else SHARING[index % 2]) for index, text in enumerate(INPUTS)]
    assert not entry(constant, icl.Task.from_pairs("some", some))["begin_alike"]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([True] * 6, [False] * 6, True),
        ([True] * 5, [False] * 5, None),
        ([False] * 6, [True] * 6, False),
        ([True] * 5 + [False], [False] * 5 + [True], False),
        ([True] * 50, [True] * 50, None),
    ],
)
def test_who_beats_whom_is_told_by_mcnemars_exact_test(
    ours: list[bool], theirs: list[bool], expected: bool | None
) -> None:
    assert beats(ours, theirs) is expected


def test_the_layer_can_be_chosen_apart_from_dummies(made: Model, tmp_path: Path) -> None:
    found = entry(made, choose_layer="apart", output=tmp_path, **ONE)
    by_accuracy = entry(made, **ONE)
    assert found == by_accuracy
    configuration = read_json(tmp_path / "run.json")["experiments"]["sweep"]["configuration"]
    assert configuration["choose_layer"] == "apart"
    with pytest.raises(icl.IclVectorsError, match="choose_layer"):
        entry(made, output=tmp_path, **ONE)
    none = icl.Task.from_pairs("one", [(text, LABELS[0]) for text in INPUTS])
    with pytest.raises(icl.IclVectorsError, match="found none among 30"):
        entry(made, none, choose_layer="apart")
    with pytest.raises(icl.IclVectorsError, match="--choose-layer"):
        entry(made, choose_layer="best")


def test_layers_that_copy_lose_to_one_that_is_right_apart() -> None:
    prompt = Prompt("dev-0", "t", 1, "dev", "q", ("y",), (), ("d", "e"))
    dev = [EncodedPrompt(prompt, (1,), ((2,),) * 3, (1, 2), (token,)) for token in (7, 7, 8)]
    swept = torch.tensor([[7, 5], [7, 5], [7, 8]])  # (prompt, candidate): most are right at 1
    own = torch.tensor([[7, 7], [7, 7], [7, 7]])  # (prompt, dummy)
    assert best_apart(dev, [1, 4], {"d": (7,), "e": (7,)}, swept, own) == 4
