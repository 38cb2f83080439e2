"""Reading a run folder that may be half finished or damaged: what is there, and what lacks."""

import csv
import json
from collections.abc import Iterator, Mapping
from functools import partial
from io import StringIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.report import parse
from icl_vectors.report.parse_comparison import read_comparison
from icl_vectors.report.run import Cluster, Example, Point, Run
from icl_vectors.run_shapes import SCHEMA, is_newer

MARKS = ("run.json", "records.jsonl", "results.json")
PARTS = {"sweep": "tasks", "conflict": "conflict", "vocabulary": "vocabulary"}
EXAMPLES = 2  # test prompts shown a task


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


def read_run(folder: Path) -> Run:
    """A run as far as it can be read.

    Raises:
        IclVectorsError: the folder is no run.
    """
    if not _is_run(folder):
        find_runs(folder)
        raise IclVectorsError(f"{folder}: expected the folder of one run, found one of several.")
    lacking: list[str] = []
    about = _object(folder / "run.json", lacking)
    results = _results(folder, lacking)
    lacking += _of_newer_version(about, results)
    tasks = parse.parse_each(results.get("tasks"), parse.task_result, "sweep", lacking)
    layers = _layers(about, results, [len(task.dev_accuracy) for task in tasks])
    fitting = tuple(task for task in tasks if len(task.dev_accuracy) == layers > task.best_layer)
    lacking += [
        f"sweep: {task.task} is of a model with another number of blocks"
        for task in tasks
        if task not in fitting
    ]
    conflicts = parse.parse_each(results.get("conflict"), parse.conflict, "conflict", lacking)
    cluster = _cluster(folder, results, lacking)
    vocabulary = parse.parse_each(
        results.get("vocabulary"), parse.vocabulary, "vocabulary", lacking
    )
    comparison = read_comparison(results, lacking)
    examples = tuple(_examples(folder, lacking))
    there = {"sweep": tasks, "conflict": conflicts, "cluster": cluster, "vocabulary": vocabulary}
    if comparison is None or any(there.values()):
        lacking += [f"{name}: not in this folder" for name, part in there.items() if not part]
    lacking += _unfinished(folder, about, {(one.task, str(one.seed)) for one in tasks})
    return Run(
        model=_model_name(about, results),
        dtype=str(results.get("dtype") or _model(about).get("dtype") or "unknown dtype"),
        n_layers=layers,
        about=about,
        tasks=fitting,
        conflicts=conflicts,
        cluster=cluster,
        vocabulary=vocabulary,
        examples=examples,
        comparison=comparison,
        lacking=tuple(dict.fromkeys(lacking)),
    )


def _of_newer_version(*files: Mapping[str, Any]) -> list[str]:
    """A remark where a newer version wrote the run: what it holds may be shown wrongly."""
    return [
        f"a newer version of icl_vectors wrote this run (schema {one['schema']!r}, this one reads "
        f"{SCHEMA}); what is shown may be incomplete or wrong"
        for one in files
        if is_newer(one)
    ]


def _is_run(folder: Path) -> bool:
    if any((folder / name).is_file() for name in MARKS[:2]):
        return True
    results = _object(folder / MARKS[2], []) if (folder / MARKS[2]).is_file() else {}
    return "schema" in results and "model" in results


def _object(path: Path, lacking: list[str]) -> dict[str, Any]:
    """A JSON object, or an empty one and a remark."""
    try:
        value = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
        if isinstance(value, dict):
            return value
        lacking.append(f"{path.name}: damaged (expected a JSON object)")
    except FileNotFoundError:
        lacking.append(f"{path.name}: missing")
    except (OSError, ValueError, RecursionError) as error:
        lacking.append(f"{path.name}: damaged ({_reason(error)})")
    return {}


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _reason(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _results(folder: Path, lacking: list[str]) -> dict[str, Any]:
    """results.json, and what the records of units hold that were finished since it was written."""
    results = _object(folder / "results.json", lacking)
    recorded: dict[str, list[dict[str, Any]]] = {}
    for record in _lines(folder / "records.jsonl", lacking):
        part = PARTS.get(str(record.get("experiment")))
        if record.get("event") == "done" and part and isinstance(record.get("result"), dict):
            recorded.setdefault(part, []).append(record["result"])
    if results:
        written = results.get("tasks")
        if isinstance(written, list):
            results["tasks"] = written + _since(written, recorded.get("tasks", []))
        return results
    if recorded:
        lacking.append("results.json: what is shown was taken from records.jsonl")
    return dict(recorded)


def _since(written: list[Any], recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {_unit(one) for one in written if isinstance(one, dict)}
    return [one for one in recorded if _unit(one) not in known]


def _unit(record: Mapping[str, Any]) -> tuple[str, str]:
    """What tells one unit from another, as text: a damaged file may hold anything there."""
    return str(record.get("task")), str(record.get("seed"))


def _lines(path: Path, lacking: list[str]) -> list[dict[str, Any]]:
    """The JSON objects of a file; a torn last line is nothing to remark on."""
    if not path.is_file():
        return []
    whole = path.read_bytes().split(b"\n")[:-1]
    found = [_line(line) for line in whole if line.strip()]
    if None in found:
        lacking.append(f"{path.name}: {found.count(None)} damaged line(s) left out")
    return [line for line in found if line is not None]


def _line(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _layers(about: Mapping[str, Any], results: Mapping[str, Any], seen: list[int]) -> int:
    stated = results.get("n_layers") or _model(about).get("n_layers")
    if isinstance(stated, int) and not isinstance(stated, bool):
        return stated
    return max(seen, default=0)


def _model(about: Mapping[str, Any]) -> Mapping[str, Any]:
    model = about.get("model")
    return model if isinstance(model, Mapping) else {}


def _model_name(about: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    reference = str(_model(about).get("reference") or results.get("model") or "unknown model")
    return short_name(reference)


def short_name(reference: str) -> str:
    """A model's name; of a local folder only the last part, wherever it lies."""
    for path in (PurePosixPath(reference), PureWindowsPath(reference)):
        if path.is_absolute():
            return path.name or reference
    return reference


def _cluster(folder: Path, results: Mapping[str, Any], lacking: list[str]) -> Cluster | None:
    if results.get("cluster") is None:
        return None
    points = _points(folder / "cluster.csv", lacking)
    read = partial(parse.cluster, points=points)
    return parse.parse_one(results["cluster"], read, "cluster", lacking)


def _points(path: Path, lacking: list[str]) -> list[Point]:
    try:
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8"))))
    except (OSError, ValueError, csv.Error) as error:
        lacking.append(f"{path.name}: the map of vectors can't be drawn ({_reason(error)})")
        return []
    problems: list[str] = []
    found = parse.parse_each(rows, parse.point, path.name, problems)
    if problems:
        lacking.append(f"{path.name}: {len(problems)} damaged line(s) left out")
    return list(found)


def _examples(folder: Path, lacking: list[str]) -> Iterator[Example]:
    """The first test prompts of each task, with what each method answered."""
    chosen: dict[str, dict[str, Any]] = {}
    seen: dict[Any, int] = {}
    for prompt in _lines(folder / "prompts.jsonl", lacking):
        task = prompt.get("task")
        if prompt.get("split") == "test" and seen.get(str(task), 0) < EXAMPLES:
            seen[str(task)] = seen.get(str(task), 0) + 1
            chosen[str(prompt.get("id"))] = prompt
    answers: dict[str, dict[str, Any]] = {}
    for sample in _lines(folder / "samples.jsonl", lacking):
        method = str(sample.get("method"))
        if str(sample.get("id")) in chosen and ":" not in method:  # no control
            answers.setdefault(str(sample["id"]), {})[method] = sample
    for identity, prompt in chosen.items():
        read = partial(parse.example, samples=answers.get(identity, {}))
        found = parse.parse_one(prompt, read, "prompts.jsonl", lacking)
        if found is not None and found.predictions:
            yield found


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
        for record in _lines(folder / "records.jsonl", [])
        if record.get("event") == "failed"
    }
    for unit in asked:
        if unit not in done:
            why = f"failed ({errors[unit]})" if errors.get(unit) else "not finished"
            yield f"sweep: {unit[0]} with seed {unit[1]} {why}"
