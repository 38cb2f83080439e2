import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from icl_vectors.scoring import over_seeds
from tests.benchmarks.random_model import word
from tests.experiments.compare import files_without_times, same_but_for_vectors
from tests.experiments.conftest import Finished
from tests.tiny import HIDDEN, N_LAYERS, Tiny
from tests.twins import plain
from tests.twins import prompts as twin

INPUTS = [word(i) if i % 3 else f"{word(i)}_{word(i + 1)}" for i in range(30)]
WORDS = icl.Task.from_pairs("words", {x: (word(i % 5), word(i + 40)) for i, x in enumerate(INPUTS)})
SMALL: dict[str, Any] = {"dev": 6, "test": 7, "shots": 3}


def sweep(model: Model, tasks: Any = (WORDS,), **options: Any) -> icl.Results:
    return icl.sweep(model, tasks, **{**SMALL, **options})


@pytest.fixture(scope="module")
def swept(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of each family's tiny model; no test may change it."""
    found = sweep(tiny.model, output=tmp_path_factory.mktemp("swept") / tiny.family)
    assert found.folder is not None
    return found.folder


def test_a_sweep_gives_what_plain_pytorch_gives(tiny: Tiny, swept: Path) -> None:
    prompts = sample_prompts(WORDS, dev=6, test=7, shots=3)
    dev, test = ([twin.as_twin(prompt) for prompt in part] for part in prompts)
    expected = plain.run(tiny.plain, tiny.tokenizer, dev, test)
    (entry,) = read_json(swept / "results.json")["tasks"]
    accuracies = {method: entry[method]["accuracy"] for method in expected["accuracy"]}
    assert accuracies == pytest.approx(expected["accuracy"])
    assert entry["dev_accuracy_by_layer"] == pytest.approx(expected["dev_accuracy"])
    assert entry["best_layer"] == expected["best_layer"]
    theta = icl.TaskVector.load(swept / "vectors" / "words.seed41.safetensors")
    assert theta.vectors.shape == (N_LAYERS, HIDDEN)
    assert theta.best_layer == expected["best_layer"]
    assert_close(theta.vectors, expected["theta"], rtol=1e-5, atol=1e-5)
    samples = read_lines(swept / "samples.jsonl")
    for method in ("baseline", "hypothesis", "regular"):
        tokens: list[int] = expected[method]
        shown = [s["prediction"] for s in samples if (s["split"], s["method"]) == ("test", method)]
        assert shown == [tiny.tokenizer.decode([token]) for token in tokens]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_changes_no_file(
    tiny: Tiny, swept: Path, tmp_path: Path, batch_size: int
) -> None:
    sweep(tiny.model, output=tmp_path, batch_size=batch_size)
    assert same_but_for_vectors(swept, tmp_path, "samples.jsonl")
    one, other = (
        icl.TaskVector.load(folder / "vectors/words.seed41.safetensors").vectors
        for folder in (swept, tmp_path)
    )
    assert_close(one, other, rtol=1e-5, atol=1e-5)
    answers = [  # not the rounded log-probabilities, which may differ in the last place
        [(s["id"], s["method"], s["layer"], s["prediction"], s["correct"]) for s in samples]
        for samples in (read_lines(folder / "samples.jsonl") for folder in (swept, tmp_path))
    ]
    assert answers[0] == answers[1]


def test_two_runs_give_identical_files(tiny: Tiny, swept: Path, tmp_path: Path) -> None:
    sweep(tiny.model, output=tmp_path)
    files = files_without_times(tmp_path)
    assert files == files_without_times(swept)
    assert len(files) == 6


def test_prompts_are_the_same_for_every_model(llama: Model, swept: Path, tmp_path: Path) -> None:
    sweep(llama, output=tmp_path)
    files = [folder / "prompts.jsonl" for folder in (swept, tmp_path)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_subset_of_layers_gives_the_values_of_the_full_sweep(llama: Model) -> None:
    whole = sweep(llama, "list_first").data["tasks"][0]
    part = sweep(llama, "list_first", layers="-1,1").data["tasks"][0]
    by_layer = whole["dev_accuracy_by_layer"]
    assert part["dev_accuracy_by_layer"] == [None, by_layer[1], None, by_layer[3]]
    assert part["best_layer"] in (1, 3)
    assert part["baseline"] == whole["baseline"] and part["regular"] == whole["regular"]


def test_results_are_those_of_the_contract(llama: Model, tmp_path: Path) -> None:
    found = sweep(llama, "list_first,to_upper", output=tmp_path, seeds=(1, 2))
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results == found.data
    assert (results["schema"], results["n_layers"], results["dtype"]) == (1, N_LAYERS, "float32")
    units = [(entry["task"], entry["seed"]) for entry in results["tasks"]]
    assert units == [(task, seed) for task in ("list_first", "to_upper") for seed in (1, 2)]
    keys = {"task", "category", "seed", "n_test", "n_distinct", "best_layer"}
    for entry in results["tasks"]:
        assert keys | {"baseline", "hypothesis", "regular", "dev_accuracy_by_layer"} <= set(entry)
        assert set(entry["baseline"]) == {"accuracy", "low", "high"}
        assert (entry["n_test"], entry["n_distinct"]) == (7, 7)
    summary = results["summary"]
    for method in ("baseline", "hypothesis", "regular"):
        values = [entry[method]["accuracy"] for entry in results["tasks"]]
        assert summary[method] == pytest.approx(sum(values) / 4)
    regular = summary["regular"]
    expected = summary["hypothesis"] / regular if regular else None
    assert summary["recovered"] == expected
    seeds = summary["seeds"]
    assert seeds["n"] == 2
    for method in ("baseline", "hypothesis", "regular"):
        values = [
            sum(e[method]["accuracy"] for e in results["tasks"] if e["seed"] == seed) / 2
            for seed in (1, 2)
        ]
        assert seeds[method]["by_seed"] == {"1": values[0], "2": values[1]}
        spread = over_seeds(values).to_json()
        assert {key: seeds[method][key] for key in spread} == spread
    assert "seeds" not in sweep(llama, "to_upper").data["summary"]


def test_queries_that_repeat_are_counted(llama: Model) -> None:
    (entry,) = sweep(llama, "next_letter", dev=10, test=40).data["tasks"]
    assert (entry["n_test"], entry["n_distinct"]) == (40, 25)
    assert entry["n_dev_queries_in_test"] == 10


def test_accuracies_are_those_of_the_samples(finished: Finished) -> None:
    right = defaultdict(list)
    for sample in read_lines(finished("sweep") / "samples.jsonl"):
        key = (sample["task"], sample["split"], sample["method"], sample["layer"])
        right[key].append(sample["correct"])
    for entry in read_json(finished("sweep") / "results.json")["tasks"]:
        for method in ("baseline", "hypothesis", "regular"):
            layer = entry["best_layer"] if method == "hypothesis" else None
            answers = right[entry["task"], "test", method, layer]
            assert len(answers) == 6
            assert sum(answers) / 6 == pytest.approx(entry[method]["accuracy"])
        for layer, value in enumerate(entry["dev_accuracy_by_layer"]):
            answers = right[entry["task"], "dev", "hypothesis", layer]
            assert sum(answers) / len(answers) == pytest.approx(value)


def test_a_data_frame_has_one_row_a_figure(llama: Model) -> None:
    frame = sweep(llama, "list_first,to_upper", layers="1:").to_pandas()
    assert len(frame) == 2 * (3 + 3)
    tested = frame[frame.split == "test"]
    assert list(tested.method) == ["baseline", "hypothesis", "regular"] * 2
    assert set(tested.n) == {7}
    swept = frame[frame.split == "dev"]
    assert list(swept.layer) == [1, 2, 3] * 2
    assert set(swept.n) == {6}
    assert all(math.isnan(low) for low in swept.low)
    assert frame.accuracy.between(0, 1).all()


def test_without_output_is_no_file(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = sweep(llama, "to_upper")
    assert found.folder is None
    assert list(tmp_path.iterdir()) == []
    assert torch.isfinite(found.vectors[("to_upper", 41)].vectors).all()


def test_run_json_says_where_the_figures_come_from(llama: Model, finished: Finished) -> None:
    run = read_json(finished("sweep") / "run.json")
    assert set(run["versions"]) == {"icl_vectors", "python", "torch", "transformers", "nnsight"}
    assert run["model"]["reference"] == llama.reference
    assert run["model"]["fingerprint"] == llama.fingerprint
    entry = run["experiments"]["sweep"]
    assert set(entry) >= {"started", "finished", "seconds", "peak_memory_bytes", "configuration"}
    tasks = ("list_first", "to_upper", "next_letter")
    own = {name: icl.load_task(name).fingerprint for name in tasks}
    assert entry["configuration"]["tasks"] == own
    assert "first token" in entry["configuration"]["comparison"]
    written = read_json(finished("written") / "run.json")["experiments"]["sweep"]["configuration"]
    assert written["answer"] == "generate"
    assert "equals an accepted one" in written["comparison"]


def test_no_shots_at_all_can_be_swept(llama: Model) -> None:
    (entry,) = sweep(llama, "to_upper", shots=0).data["tasks"]
    assert entry["baseline"] == entry["regular"]


def test_a_model_that_nnsight_opened_is_accepted_and_left_as_it_was(llama: Model) -> None:
    before = {name: value.clone() for name, value in llama.nnsight._module.state_dict().items()}
    found = sweep(llama.nnsight, "to_upper")
    assert found.data["tasks"] == sweep(llama, "to_upper").data["tasks"]
    after = llama.nnsight._module.state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
