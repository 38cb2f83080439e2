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
from icl_vectors.models.load import Model
from icl_vectors.runs.recovery import read_json
from icl_vectors.tasks.task import Task

SMALL: dict[str, Any] = {"dev": 3, "test": 3}


def test_every_name_that_the_package_lists_is_there() -> None:
    for name in dir(icl):
        assert getattr(icl, name) is not None, name


def test_a_run_is_repeated_by_its_run_json(llama: Model, tmp_path: Path) -> None:
    mine = Task.from_pairs("mine", {f"w{i}": f"v{i}" for i in range(12)})
    asked: dict[str, Any] = {
        "shots": 2,
        "seeds": (3, 4),
        "layers": "1:3",
        "template": "{input} -> {output}",
    }
    first = icl.sweep(llama, ["to_upper", mine], output=tmp_path / "one", **asked, **SMALL)
    run = read_json(tmp_path / "one" / "run.json")
    config = SweepConfig.of_run(run, "sweep", [mine])
    assert icl.sweep(llama, config, output=tmp_path / "two").data == first.data
    changed = SweepConfig.of_run(run, "sweep", [mine], seeds=(9,))
    assert (changed.all_seeds, changed.shots, changed.template.text) == (
        (9,),
        2,
        "{input} -> {output}",
    )
    other = Task.from_pairs("mine", {f"w{i}": f"u{i}" for i in range(12)})
    with pytest.raises(icl.IclVectorsError, match="task 'mine': expected the data of that run"):
        SweepConfig.of_run(run, "sweep", [other])
    with pytest.raises(
        icl.IclVectorsError, match="--config: expected a run of compare, found sweep"
    ):
        CompareConfig.of_run(run, "compare")


@pytest.mark.parametrize("name", ["conflict", "cluster", "vocabulary", "compare", "shots"])
def test_the_other_experiments_too(llama: Model, tmp_path: Path, name: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "conflict": {"pairs": "next_letter:to_upper"},
        "cluster": {"tasks": "to_upper,list_first", "per_task": 3},
        "vocabulary": {"tasks": "to_upper", "top": 5},
        "compare": {"tasks": "to_upper", "methods": "state", "arrows": "->", "shots_curve": "2"},
        "shots": {"tasks": "to_upper", "shots": "0,2"},
    }
    run = getattr(icl, name)
    first = run(llama, output=tmp_path / "one", **options[name], **SMALL)
    config = experiment(name).Config.of_run(read_json(tmp_path / "one" / "run.json"), name)
    again = run(llama, config, output=tmp_path / "two")
    assert without(again.data[name], "seconds") == without(first.data[name], "seconds")


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


def test_vocabulary_is_about_the_sweep_whatever_else_is_in_the_folder(
    llama: Model, tmp_path: Path
) -> None:
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
    ],
)
def test_wrong_values_are_one_line(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(icl.IclVectorsError, match=message):
        kind.make("to_upper,list_first", **options)


def test_one_number_is_a_curve_of_one() -> None:
    assert ShotsConfig.make("to_upper", shots=4).shots == (4,)
    assert CompareConfig.make("to_upper", shots_curve=[2, 0]).shots_curve == (0, 2)


def test_an_unknown_option_is_an_error_of_the_program() -> None:
    for name in experiment_names():
        with pytest.raises(TypeError, match="unexpected keyword argument 'no_such'"):
            experiment(name).Config.make(no_such=1)
