"""Reading a run folder that may be half finished or damaged: what is there, what is missing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from pydantic import ValidationError

from icl_vectors.errors import IclVectorsError
from icl_vectors.runs.lines import read_examples, read_objects, read_points, reason_of
from icl_vectors.runs.run import Comparison, Run
from icl_vectors.runs.schema import (
    SCHEMA,
    Cluster,
    Compared,
    Conflict,
    MethodSummary,
    Model,
    TaskResult,
    Vocabulary,
)
from icl_vectors.runs.validation import first_fault, is_newer

MARKS = ("run.json", "records.jsonl", "results.json")
PARTS = {"sweep": "tasks", "conflict": "conflict", "vocabulary": "vocabulary"}
Kind = TypeVar("Kind", bound=Model)


def find_runs(folder: Path) -> list[Path]:
    """The folder itself where it is a run, else the runs directly under it, by name.

    Raises:
        IclVectorsError: there is none.
    """
    if _is_run(folder):
        return [folder]
    if not folder.is_dir():
        raise IclVectorsError(
            f"{folder}: expected the folder of a run, found no such folder; "
            "give what was the --output of a run."
        )
    found = sorted(child for child in folder.iterdir() if child.is_dir() and _is_run(child))
    if not found:
        raise IclVectorsError(
            f"{folder}: expected the folder of a run, found neither {MARKS[0]} nor {MARKS[1]}; "
            "give what was the --output of a run."
        )
    return found


def read_run(folder: Path, kinds: Mapping[str, type[Model]] | None = None) -> Run:
    """A run as far as it can be read.

    Args:
        kinds: what an entry of each further part of results.json is.

    Raises:
        IclVectorsError: the folder is no run.
    """
    if not _is_run(folder):
        find_runs(folder)
        raise IclVectorsError(f"{folder}: expected the folder of one run, found one of several.")
    missing: list[str] = []
    about = _object(folder / "run.json", missing)
    results = _results(folder, missing)
    missing += [
        f"a newer version of icl_vectors wrote this run (schema {one['schema']!r}, this one reads "
        f"{SCHEMA}); what is shown may be incomplete or wrong"
        for one in (about, results)
        if is_newer(one)
    ]
    tasks = _each(results, "tasks", TaskResult, missing, "sweep")
    model = about.get("model")
    model = model if isinstance(model, Mapping) else {}
    layers = results.get("n_layers") or model.get("n_layers")
    if not isinstance(layers, int) or isinstance(layers, bool):
        layers = max((len(task.dev_accuracy_by_layer) for task in tasks), default=0)
    fitting = tuple(
        task for task in tasks if len(task.dev_accuracy_by_layer) == layers > task.best_layer
    )
    missing += [
        f"sweep: {task.task} is of a model with another number of blocks"
        for task in tasks
        if task not in fitting
    ]
    conflicts = _each(results, "conflict", Conflict, missing)
    found = results.get("cluster")
    cluster = None if found is None else _one(found, Cluster, "cluster", missing)
    points = read_points(folder / "cluster.csv", missing) if found is not None else []
    vocabulary = _each(results, "vocabulary", Vocabulary, missing)
    comparison = read_comparison(results, missing)
    examples = tuple(read_examples(folder, missing))
    there = {"sweep": tasks, "conflict": conflicts, "cluster": cluster, "vocabulary": vocabulary}
    parts = {name: _each(results, name, kind, missing) for name, kind in (kinds or {}).items()}
    parts = {name: entries for name, entries in parts.items() if entries}
    parts |= {"compare": comparison.entries} if comparison else {}
    run = Run(
        model=short_name(str(model.get("reference") or results.get("model") or "unknown model")),
        dtype=str(results.get("dtype") or model.get("dtype") or "unknown dtype"),
        n_layers=layers,
        about=about,
        data=results,
        tasks=fitting,
        conflicts=conflicts,
        cluster=cluster,
        points=tuple(points),
        vocabulary=vocabulary,
        examples=examples,
        comparison=comparison,
        parts=parts,
    )
    if not run.is_apart and run.of_paper:
        missing += [f"{name}: not in this folder" for name, part in there.items() if not part]
    missing += _unfinished(folder, about, {(one.task, str(one.seed)) for one in tasks})
    return replace(run, missing=tuple(dict.fromkeys(missing)))


def _is_run(folder: Path) -> bool:
    if any((folder / name).is_file() for name in MARKS[:2]):
        return True
    results = _object(folder / MARKS[2], []) if (folder / MARKS[2]).is_file() else {}
    return "schema" in results and "model" in results


def _object(path: Path, missing: list[str]) -> dict[str, Any]:
    """A JSON object, or an empty one and a remark."""
    try:
        value = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
        if isinstance(value, dict):
            return value
        missing.append(f"{path.name}: damaged (expected a JSON object)")
    except FileNotFoundError:
        missing.append(f"{path.name}: missing")
    except (OSError, ValueError, RecursionError) as error:
        missing.append(f"{path.name}: damaged ({reason_of(error)})")
    return {}


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _results(folder: Path, missing: list[str]) -> dict[str, Any]:
    """results.json, and what the records of units hold that were finished since it was written."""
    results = _object(folder / "results.json", missing)
    recorded: dict[str, list[dict[str, Any]]] = {}
    for record in read_objects(folder / "records.jsonl", missing):
        part, result = PARTS.get(str(record.get("experiment"))), record.get("result")
        if record.get("event") == "done" and part and isinstance(result, dict):
            entries = result.get("entries", [result])  # `vocabulary` has several a task
            listed = entries if isinstance(entries, list) else []
            recorded.setdefault(part, []).extend(one for one in listed if isinstance(one, dict))
    if results:
        written = results.get("tasks")
        if isinstance(written, list):
            known = {_unit(one) for one in written if isinstance(one, dict)}
            since = [one for one in recorded.get("tasks", []) if _unit(one) not in known]
            results["tasks"] = written + since
        return {**recorded, **results}  # an experiment that goes on has not written its part yet
    if recorded:
        missing.append("results.json: what is shown was taken from records.jsonl")
    return dict(recorded)


def _unit(record: Mapping[str, Any]) -> tuple[str, str]:
    """What tells one unit from another, as text: a damaged file may hold anything there."""
    return str(record.get("task")), str(record.get("seed"))


def short_name(reference: str) -> str:
    """A model's name; of a local folder only the last part, wherever it lies."""
    for path in (PurePosixPath(reference), PureWindowsPath(reference)):
        if path.is_absolute():
            return path.name or reference
    return reference


def _each(
    results: Mapping[str, Any], key: str, kind: type[Kind], missing: list[str], what: str = ""
) -> tuple[Kind, ...]:
    """Every entry of a part that can be read; the others are named in `missing`."""
    what, values = what or key, results.get(key)
    if values is None:
        return ()
    if not isinstance(values, list):
        missing.append(f"{what}: expected a list, found something else")
        return ()
    found = [_one(value, kind, f"{what}, entry {i}", missing) for i, value in enumerate(values, 1)]
    return tuple(entry for entry in found if entry is not None)


def _one(value: Any, kind: type[Kind], what: str, missing: list[str]) -> Kind | None:
    """An entry, or None where it can't be read."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        missing.append(f"{what}: damaged ({first_fault(error)})")
        return None


def read_comparison(results: Mapping[str, Any], missing: list[str]) -> Comparison | None:
    """The comparison of results.json; None where there is none."""
    if "compare" not in results:
        return None
    entries = _each(results, "compare", Compared, missing)
    summary = _each(results, "compare_summary", MethodSummary, missing)
    known = {one.method for one in entries}
    missing += [f"compare: {m.method} has no entry" for m in summary if m.method not in known]
    return Comparison(
        entries=entries,
        summary=tuple(one for one in summary if one.method in known),
        arrows=_each(results, "compare_arrows", Compared, missing),
        shots=_each(results, "compare_shots", Compared, missing),
    )


def _unfinished(
    folder: Path, about: Mapping[str, Any], done: set[tuple[str, str]]
) -> Iterator[str]:
    """The units of the sweep that were asked for and have no result."""
    try:
        configuration = about["experiments"]["sweep"]["configuration"]
        tasks, seeds = configuration["tasks"], configuration["seeds"]
        asked = [(str(task), str(seed)) for task in tasks for seed in seeds]
    except (KeyError, TypeError):
        return
    errors = {
        _unit(record): record.get("error")
        for record in read_objects(folder / "records.jsonl", [])
        if record.get("event") == "failed"
    }
    for unit in asked:
        if unit not in done:
            why = f"failed ({errors[unit]})" if errors.get(unit) else "not finished"
            yield f"sweep: {unit[0]} with seed {unit[1]} {why}"
