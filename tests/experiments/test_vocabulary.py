import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.graph.experiments import run_projection
from icl_vectors.models.load import Model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_records
from tests.listener import Listener
from tests.tiny import N_LAYERS, N_TOKENS, load_plain
from tests.twins import plain
from tests.twins.prompts import token_ids

SMALL: dict[str, Any] = {"tasks": "to_upper,list_first", "test": 4, "dev": 3, "top": 6}


@pytest.fixture(scope="module")
def swept(llama: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    icl.sweep(llama, SMALL["tasks"], output=folder, test=4, dev=3)
    return folder


@pytest.fixture
def folder(swept: Path, tmp_path: Path) -> Path:
    """A copy of a sweep's folder whose best layers are 3 and 1."""
    for file in swept.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            copy = tmp_path / "run" / file.relative_to(swept)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    for entry, best in zip(results["tasks"], (3, 1), strict=True):
        entry["best_layer"] = best
    (tmp_path / "run" / "results.json").write_text(json.dumps(results), "utf-8")
    return tmp_path / "run"


def vocabulary(model: Model, output: Path, **options: Any) -> list[dict[str, Any]]:
    return list(icl.vocabulary(model, output=output, **{**SMALL, **options}).data["vocabulary"])


def said_by_plain(model: Any, state: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.lm_head(model.model.norm(state))
    return logits.softmax(-1)  # (vocab,)


def baseline_state(llama: Model, model: Any, folder: Path, task: str, layer: int) -> Tensor:
    lines = [p for p in read_lines(folder / "prompts.jsonl") if p["split"] == "test"]
    texts = [f"{line['query']}→" for line in lines if line["task"] == task]
    assert len(texts) == 4
    states = [plain.states(model, token_ids(llama.tokenizer, text))[layer] for text in texts]
    return torch.stack(states).mean(0)


def expected_words(llama: Model, values: Tensor, top: int, raw: bool) -> list[tuple[str, float]]:
    texts = [llama.tokenizer.decode([token]) for token in range(N_TOKENS)]
    order = values.argsort(descending=True, stable=True).tolist()
    kept = [token for token in order if raw or texts[token].strip().isalpha()]
    return [(texts[token], float(values[token])) for token in kept[:top]]


def pairs(tokens: Sequence[dict[str, Any]], key: str) -> list[tuple[str, float]]:
    assert all(set(token) == {"token", key} for token in tokens)
    return [(token["token"], token[key]) for token in tokens]


def test_by_default_two_blocks_above_the_best_one_and_the_best_one(
    llama: Model, folder: Path
) -> None:
    found = vocabulary(llama, folder)
    assert [(one["task"], one["layer"]) for one in found] == [
        ("to_upper", 3),  # the best is the last: nothing above it
        ("list_first", 3),
        ("list_first", 1),
    ]
    assert json.loads((folder / "results.json").read_text("utf-8"))["vocabulary"] == found
    keys = {"task", "layer", "tokens", "baseline", "added", "in_outputs"}
    assert all(set(one) == keys and len(one["tokens"]) == 6 for one in found)


@pytest.mark.parametrize("raw", [False, True])
def test_probabilities_are_those_of_plain_transformers(
    llama: Model, llama_folder: Path, folder: Path, raw: bool
) -> None:
    found = vocabulary(llama, folder, raw=raw)
    model = load_plain(llama_folder)
    for one in found:
        theta = icl.TaskVector.load(folder / "vectors" / f"{one['task']}.seed41.safetensors")
        said = said_by_plain(model, theta.at(one["layer"]))
        plainly = said_by_plain(
            model, baseline_state(llama, model, folder, one["task"], one["layer"])
        )
        for name, key, values in (
            ("tokens", "probability", said),
            ("baseline", "probability", plainly),
            ("added", "difference", said - plainly),
        ):
            listed = pairs(one[name], key)
            expected = expected_words(llama, values, 6, raw)
            assert [text for text, _ in listed] == [text for text, _ in expected]
            shown, wanted = [v for _, v in listed], [v for _, v in expected]
            assert shown == pytest.approx(wanted, rel=6e-4)
            assert shown == sorted(shown, reverse=True)


def test_raw_tokens_are_not_filtered_and_words_consist_of_letters(
    llama: Model, folder: Path, tmp_path: Path
) -> None:
    raw = vocabulary(llama, folder, raw=True, top=40, layer=1)
    assert any(not token["token"].strip().isalpha() for token in raw[0]["tokens"])
    for file in ("records.jsonl", "run.json"):
        text = (folder / file).read_text("utf-8")
        if file == "records.jsonl":
            kept = [line for line in text.splitlines(keepends=True) if '"vocabulary"' not in line]
            (folder / file).write_text("".join(kept), "utf-8")
        else:
            run = json.loads(text)
            del run["experiments"]["vocabulary"]
            (folder / file).write_text(json.dumps(run), "utf-8")
    words = vocabulary(llama, folder, top=40, layer=1)
    assert all(token["token"].strip().isalpha() for token in words[0]["tokens"])
    assert words[0]["tokens"] != raw[0]["tokens"]


def test_the_share_in_outputs_is_that_of_the_samples(llama: Model, folder: Path) -> None:
    samples = read_lines(folder / "samples.jsonl")
    first = vocabulary(llama, folder, layer=-1, top=400, raw=True)
    for one in first:
        answered = {
            sample["prediction"].strip().casefold()
            for sample in samples
            if (sample["task"], sample["split"]) == (one["task"], "test")
            and sample["method"] in ("hypothesis", "regular")
        }
        shown = [token["token"].strip().casefold() for token in one["tokens"]]
        expected = sum(text in answered for text in shown) / len(shown)
        assert one["in_outputs"] == pytest.approx(expected)
        assert 0 < one["in_outputs"] < 1


def test_more_tokens_than_there_are_give_all_of_them(llama: Model, folder: Path) -> None:
    found = vocabulary(llama, folder, layer=0, top=N_TOKENS + 600, raw=True)
    assert [len(one["tokens"]) for one in found] == [N_TOKENS, N_TOKENS]
    assert sum(token["probability"] for token in found[0]["tokens"]) == pytest.approx(1, abs=1e-4)


def test_a_layer_may_be_chosen_and_count_from_the_end(llama: Model, folder: Path) -> None:
    found = vocabulary(llama, folder, layer=-2)
    assert [(one["task"], one["layer"]) for one in found] == [("to_upper", 2), ("list_first", 2)]


def test_without_a_sweep_it_sweeps_first_and_says_so(llama: Model, tmp_path: Path) -> None:
    listener = Listener()
    found = vocabulary(llama, tmp_path, observer=listener)
    assert listener.notices[0].startswith(f"Sweeping in {tmp_path} first")
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    best = {entry["task"]: entry["best_layer"] for entry in results["tasks"]}
    for task, layer in best.items():
        layers = [one["layer"] for one in found if one["task"] == task]
        assert layers == list(dict.fromkeys([min(layer + 2, N_LAYERS - 1), layer]))


def test_an_interrupted_run_goes_on_and_runs_no_finished_task_again(
    llama: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return run_projection(*given)

    monkeypatch.setattr("icl_vectors.graph.experiments.run_projection", counted)
    with pytest.raises(KeyboardInterrupt):
        vocabulary(llama, folder, observer=Listener(stop_after=1))
    listener = Listener()
    found = vocabulary(llama, folder, observer=listener)
    assert (len(calls), len(listener.lines)) == (2, 1)
    assert listener.lines[0].startswith("list_first: layer 3: ")
    assert vocabulary(llama, folder) == found
    assert len(calls) == 2


def test_the_users_mistakes_are_told_before_anything_is_run(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"layer": N_LAYERS}, "within 0 to 3 (the model has 4 blocks"),
        ({"layer": -5}, "within 0 to 3"),
        ({"top": 0}, "--top 0: expected 1 or more."),
        ({"test": 0}, "--test 0: expected 1 or more."),
        ({"tasks": "to_uper"}, "Did you mean to_upper"),
        ({"template": "{input}"}, "expected {output} exactly once"),
    ]
    for options, message in wrong:
        with pytest.raises(IclVectorsError) as raised:
            vocabulary(llama, tmp_path / "run", **options)
        assert message in str(raised.value)
        assert not (tmp_path / "run").exists()


def test_a_vector_of_another_model_is_refused(llama: Model, folder: Path) -> None:
    file = folder / "vectors" / "to_upper.seed41.safetensors"
    theta = icl.TaskVector.load(file)
    icl.TaskVector(
        **{**{key: getattr(theta, key) for key in vars(theta)}, "fingerprint": "another"}
    ).save(file)
    with pytest.raises(IclVectorsError, match="this task vector belongs to"):
        vocabulary(llama, folder)


def test_nan_stops_the_run_and_nothing_is_kept_of_that_task(
    llama: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "icl_vectors.graph.experiments.run_projection",
        lambda *given: {**run_projection(*given), "finite": torch.tensor(False)},
    )
    with pytest.raises(RunError, match="to_upper: the logits hold NaN or infinity in float32"):
        vocabulary(llama, folder)
    records = [r for r in read_records(folder) if r["experiment"] == "vocabulary"]
    assert [record["event"] for record in records] == ["submitted"]
