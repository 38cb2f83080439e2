import json
from pathlib import Path

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.report.write import write_report
from icl_vectors.runs.reading import find_runs, read_run, short_name
from tests.report import folders


def change(folder: Path, name: str, **values: object) -> None:
    data = json.loads((folder / name).read_text("utf-8"))
    (folder / name).write_text(json.dumps({**data, **values}), "utf-8")


def test_a_finished_run_is_read_whole_and_lacks_nothing(folder: Path) -> None:
    run = read_run(folder)
    assert (run.label, run.n_layers, len(run.tasks)) == ("gemma-3-270m (float32)", 18, 18)
    assert run.weights == "dequantised from 4-bit Q4_K_M"
    assert (len(run.conflicts), len(run.vocabulary), len(run.examples)) == (5, 2, 18)
    assert run.cluster is not None
    assert len(run.points) == 18 * 12
    assert run.cluster.silhouette_by_layer[9] == 0.35
    assert run.missing == ()


def test_without_results_the_records_are_shown(folder: Path) -> None:
    (folder / "results.json").unlink()
    run = read_run(folder)
    assert len(run.tasks) == 18
    assert "results.json: missing" in run.missing
    assert "results.json: what is shown was taken from records.jsonl" in run.missing


def test_units_that_were_finished_since_the_results_were_written_are_shown(folder: Path) -> None:
    whole = read_run(folder)
    results = json.loads((folder / "results.json").read_text("utf-8"))
    results["tasks"] = results["tasks"][:3]
    (folder / "results.json").write_text(json.dumps(results), "utf-8")
    run = read_run(folder)
    assert (run.tasks, run.missing) == (whole.tasks, whole.missing)


def test_what_an_experiment_finished_that_goes_on_is_shown(folder: Path) -> None:
    whole = read_run(folder)
    results = json.loads((folder / "results.json").read_text("utf-8"))
    conflicts, vocabulary = results.pop("conflict"), results.pop("vocabulary")
    (folder / "results.json").write_text(json.dumps(results), "utf-8")
    done = [("conflict", f"{one['a']}:{one['b']}", one) for one in conflicts]
    done += [("vocabulary", one["task"], {"entries": [one]}) for one in vocabulary]
    with (folder / "records.jsonl").open("a", encoding="utf-8") as stream:
        for experiment, task, result in done:
            record = {"experiment": experiment, "task": task, "seed": 41, "result": result}
            stream.write(json.dumps({"event": "done", **record}) + "\n")
    run = read_run(folder)
    assert (run.conflicts, run.vocabulary) == (whole.conflicts, whole.vocabulary)
    assert run.missing == ()
    (folder / "results.json").unlink()
    assert read_run(folder).vocabulary == whole.vocabulary


def test_a_torn_results_file_is_damage_and_the_records_are_shown(folder: Path) -> None:
    text = (folder / "results.json").read_text("utf-8")
    (folder / "results.json").write_text(text[: len(text) // 2], "utf-8")
    run = read_run(folder)
    assert len(run.tasks) == 18
    assert any(line.startswith("results.json: damaged") for line in run.missing)


def test_a_half_finished_sweep_names_each_unit_that_lacks(folder: Path) -> None:
    change(folder, "results.json", tasks=folders.results()["tasks"][:16])
    recorded = (folder / "records.jsonl").read_text("utf-8").splitlines(keepends=True)
    with (folder / "records.jsonl").open("w") as records:
        records.writelines(recorded[:16])
        records.write(
            '{"event": "failed", "experiment": "sweep", "task": "location_continent", '
            '"seed": 41, "error": "too long"}\n{"event": "done", "exp'
        )
    missing = read_run(folder).missing
    assert missing == (
        "sweep: location_continent with seed 41 failed (too long)",
        "sweep: location_religion with seed 41 not finished",
    )


def test_a_damaged_entry_is_named_and_the_others_are_shown(folder: Path) -> None:
    tasks = folders.results()["tasks"]
    del tasks[0]["regular"]
    tasks[1]["baseline"]["accuracy"] = 1.5
    tasks[2]["dev_accuracy_by_layer"].append(0.5)
    change(folder, "results.json", tasks=tasks, vocabulary=[{"task": 3}])
    run = read_run(folder)
    assert [task.task for task in run.tasks] == [task for task, _ in folders.TASKS[3:]]
    assert "sweep, entry 1: damaged (no 'regular')" in run.missing
    assert any("less than or equal to 1, found '1.5'" in line for line in run.missing)
    assert "sweep: list_first is of a model with another number of blocks" in run.missing
    assert "vocabulary: not in this folder" in run.missing


@pytest.mark.parametrize("name", ["run.json", "results.json", "prompts.jsonl", "samples.jsonl",
                                  "records.jsonl", "cluster.csv"])  # fmt: skip
@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"\xff\xfe\x00", b"null\n", b'{"a": NaN}'])
def test_any_damaged_file_still_gives_a_run(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    run = read_run(folder)
    assert run.n_layers == 18
    assert len(run.tasks) == 18


def test_a_folder_with_nothing_but_a_damaged_configuration_gives_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    page = write_report([tmp_path]).read_text("utf-8")
    assert "unknown model" in page
    assert "run.json: damaged" in page


def test_results_of_something_else_are_no_run(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"score": 1}')
    with pytest.raises(IclVectorsError, match="expected the folder of a run"):
        find_runs(tmp_path)


def test_counts_and_shares_of_tokens_in_outputs_are_told_apart(folder: Path) -> None:
    entry = folders.vocabulary_entry("fr_en", ["a", "b", "c", "d"])
    kinds = [{**entry, "in_outputs": value} for value in (1, 1.0, None)]
    change(folder, "results.json", vocabulary=kinds)
    assert [one.in_outputs for one in read_run(folder).vocabulary] == [0.25, 1.0, None]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("meta-llama/Llama-2-70b-hf", "meta-llama/Llama-2-70b-hf"),
        ("/home/me/models/gemma", "gemma"),
        ("C:\\models\\gemma", "gemma"),
    ],
)
def test_of_a_local_model_only_the_last_part_is_shown(reference: str, name: str) -> None:
    assert short_name(reference) == name


@pytest.mark.parametrize("odd", [{}, [], None, {"a": [1]}])
def test_a_name_or_seed_of_another_type_is_damage_like_any_other(folder: Path, odd: object) -> None:
    for key in ("task", "seed"):
        results = json.loads((folder / "results.json").read_text("utf-8"))
        results["tasks"][0][key] = odd
        (folder / "results.json").write_text(json.dumps(results), "utf-8")
        run = read_run(folder)
        assert len(run.tasks) == len(results["tasks"])  # of the damaged one, its record is shown
        assert run.missing, "the damage is not named"
    failed = {"event": "failed", "task": odd, "seed": odd, "error": "x"}
    with (folder / "records.jsonl").open("a") as stream:
        stream.write(json.dumps(failed) + "\n")
    assert read_run(folder).tasks == run.tasks
