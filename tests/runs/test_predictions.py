from pathlib import Path

import pytest

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.runs.files import read_lines

PAIRS = {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E", "f": ["F", "G"], "g": "G", "h": "H"}


@pytest.fixture(scope="module")
def swept(llama: Model, tmp_path_factory: pytest.TempPathFactory) -> icl.Results:
    own = icl.Task.from_pairs("upper", PAIRS)
    folder = tmp_path_factory.mktemp("runs") / "one"
    return icl.sweep(llama, own, shots=2, dummies=2, dev=3, test=4, output=folder)


def test_every_sample_is_there_with_its_prompt_and_accuracies_follow(swept: icl.Results) -> None:
    assert swept.folder is not None
    frame = icl.predictions(swept)
    assert len(frame) == len(read_lines(swept.folder / "samples.jsonl")) == 3 * 4 + 4 * 3
    test = frame[frame["split"] == "test"]
    means = test.groupby("method")["correct"].mean()
    [entry] = swept.data["tasks"]
    for method in ("baseline", "hypothesis", "regular"):
        assert means[method] == pytest.approx(entry[method]["accuracy"])
    assert test["log_probability"].notna().all() and (test["log_probability"] < 0).all()
    for row in frame.itertuples():
        *shown, last = str(row.prompt).split("\n")
        assert last == f"{row.query}→" and len(shown) == 2
        given = PAIRS[str(row.query)]
        assert row.answer == (given if isinstance(given, str) else " | ".join(given))
        assert all(PAIRS[line.split("→")[0]][0] == line.split("→")[1] for line in shown)
    prompts = {line["id"]: line for line in read_lines(swept.folder / "prompts.jsonl")}
    for id, dummies in zip(frame["id"], frame["dummies"], strict=True):
        assert dummies == " | ".join(prompts[id]["dummies"]) and " | " in dummies
    assert list(frame["layer"].isna()) == list(frame["method"] != "hypothesis")
    assert icl.predictions(str(swept.folder)).equals(frame)


def test_a_comparison_has_the_prompts_of_all_its_methods(llama: Model, tmp_path: Path) -> None:
    results = icl.compare(llama, "to_upper", "state", "random", dev=4, test=3, output=tmp_path)
    frame = icl.predictions(results)
    assert {"state", "state:random", "regular", "zero-shot"} <= {*frame["method"]}
    assert frame["prompt"].notna().all() and frame["answer"].notna().all()


def test_what_holds_no_answers_is_refused(llama: Model, swept: icl.Results, tmp_path: Path) -> None:
    assert swept.folder is not None
    tasks = "to_upper,to_lower"
    mapped = icl.cluster(llama, tasks, per_task=3, layer=2, output=tmp_path / "map")
    unkept = icl.vocabulary(llama, "to_upper", dev=2, test=2)
    cases = [
        (mapped, "expected samples of a run, found none"),
        (unkept, "give it output=FOLDER"),
        (swept.folder.parent, "found one of several"),
        (tmp_path / "nowhere", "found no such folder"),
    ]
    for given, message in cases:
        with pytest.raises(icl.IclVectorsError, match=message) as raised:
            icl.predictions(given)
        assert "\n" not in str(raised.value)
