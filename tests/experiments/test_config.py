"""Configurations: of a command, of a run.json, and what is wrong in one line."""

from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.discovery import experiment, experiment_names
from icl_vectors.experiments.cluster import ClusterConfig
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.experiments.conflict import ConflictConfig
from icl_vectors.experiments.shots import ShotsConfig
from icl_vectors.experiments.sweep import SweepConfig
from icl_vectors.experiments.vocabulary import VocabularyConfig
from icl_vectors.runs.recovery import read_json
from icl_vectors.tasks.task import Task
from tests.experiments.conftest import Finished

SMALL: dict[str, Any] = {"dev": 3, "test": 3}


def test_every_name_that_the_package_lists_is_there() -> None:
    for name in dir(icl):
        assert getattr(icl, name) is not None, name


def test_a_run_is_repeated_by_its_run_json(llama: icl.Model, tmp_path: Path) -> None:
    mine, other = (Task.from_pairs("mine", {f"w{i}": f"{v}{i}" for i in range(12)}) for v in "vu")
    text = "{input} -> {output}"
    asked: dict[str, Any] = {"shots": 2, "seeds": (3, 4), "layers": "1:3", "template": text}
    first = icl.sweep(llama, ["to_upper", mine], output=tmp_path / "one", **asked, **SMALL)
    run = read_json(tmp_path / "one" / "run.json")
    config = SweepConfig.of_run(run, "sweep", [mine])
    assert icl.sweep(llama, config).data == first.data
    changed = SweepConfig.of_run(run, "sweep", [mine], seeds=(9,))
    assert (changed.all_seeds, changed.shots, changed.template.text) == ((9,), 2, text)
    with pytest.raises(icl.IclVectorsError, match="task 'mine': expected the data of that run"):
        SweepConfig.of_run(run, "sweep", [other])
    with pytest.raises(icl.IclVectorsError, match="found none of mine; give their files"):
        SweepConfig.of_run(run, "sweep")
    with pytest.raises(icl.IclVectorsError, match="--config: expected a run of compare, found swe"):
        CompareConfig.of_run(run, "compare")


@pytest.mark.parametrize("name", ["conflict", "cluster", "vocabulary", "compare", "shots"])
def test_the_other_experiments_too(llama: icl.Model, finished: Finished, name: str) -> None:
    first = finished(name)
    config = experiment(name).Config.of_run(read_json(first / "run.json"), name)
    again = getattr(icl, name)(llama, config)
    of_first = read_json(first / "results.json")[name]
    assert without(again.data[name], "seconds") == without(of_first, "seconds")


def without(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: without(one, key) for name, one in value.items() if name != key}
    return [without(one, key) for one in value] if isinstance(value, list) else value


def test_a_pair_of_other_data_is_refused() -> None:
    recorded = ConflictConfig.make("next_letter:to_upper").recorded()
    run = {"template": "{input}→{output}", "experiments": {"conflict": {"configuration": recorded}}}
    assert ConflictConfig.of_run(run, "conflict").recorded() == recorded
    recorded["pairs"] = {"next_letter:to_upper": ["0" * 16, "1" * 16]}
    with pytest.raises(icl.IclVectorsError, match="expected the data of that run"):
        ConflictConfig.of_run(run, "conflict")


def test_vocabulary_is_about_the_sweep_in_the_folder(llama: icl.Model, tmp_path: Path) -> None:
    alone = icl.vocabulary(llama, "to_upper", top=5, output=tmp_path / "alone", **SMALL)
    both = tmp_path / "both"
    icl.sweep(llama, "to_upper", output=both, **SMALL)
    icl.shots(llama, "to_upper", shots="0,2", output=both, **SMALL)
    icl.compare(llama, "to_upper", "state", "none", output=both, **SMALL)
    beside = icl.vocabulary(llama, "to_upper", top=5, output=both, **SMALL)
    assert beside.data["vocabulary"] == alone.data["vocabulary"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ShotsConfig, {"shots": ""}, "--shots: expected numbers of demonstrations, found none"),
        (ShotsConfig, {"shots": "1,x"}, "--shots '1,x': expected numbers of demonstrations"),
        (CompareConfig, {"shots_curve": "1,x"}, "--shots-curve '1,x': expected numbers"),
        (ClusterConfig, {"layer": 1.7}, "--layer 1.7: expected best, or a whole number"),
        (ClusterConfig, {"layer": True}, "--layer True: expected best, or a whole number"),
        (VocabularyConfig, {"layer": "x"}, "--layer 'x': expected a whole number"),
        (VocabularyConfig, {"top": 0}, "--top 0: expected 1 or more."),
        (ClusterConfig, {"per_task": 0}, "--per-task 0: expected 2 or more."),
        (ClusterConfig, {"per_task": 1}, "--per-task 1: expected 2 or more."),
        (SweepConfig, {"shots": -1}, "--shots -1: expected 0 or more."),
        (SweepConfig, {"batch_size": 0}, "--batch-size 0: expected auto, or 1 or more."),
    ],
)
def test_wrong_values_are_one_line(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(icl.IclVectorsError, match=message):
        kind.make("to_upper,list_first", **options)


def test_one_number_is_a_curve_of_one_and_the_least_counts_are_taken() -> None:
    SweepConfig.make(shots=0, dummies=1, test=1, dev=1, batch_size=1)
    assert ShotsConfig.make("to_upper", shots=4).shots == (4,)
    assert CompareConfig.make("to_upper", shots_curve=[2, 0]).shots_curve == (0, 2)


def test_an_unknown_option_is_an_error_of_the_program() -> None:
    for name in experiment_names():
        with pytest.raises(TypeError, match="unexpected keyword argument 'no_such'"):
            experiment(name).Config.make(no_such=1)
