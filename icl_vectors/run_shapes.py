"""What the files of a run must look like before anything is built on them: nothing is believed.

A run's folder may be of a newer version, or edited, or damaged. Imports `errors` and `files` alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.files import to_json

SCHEMA = 1
METHODS = ("baseline", "hypothesis", "regular")
FEW_LABELS = 20
COPIES = "copies its dummies"
BEGIN_ALIKE = "its answers begin alike: compare them whole with --answer generate"


def require_schema(path: Path, value: Mapping[str, Any]) -> None:
    """Refuse a file that a newer version wrote.

    Raises:
        IclVectorsError: naming both versions of the format.
    """
    if is_newer(value):
        raise IclVectorsError(
            f"{path}: expected schema {SCHEMA}, found {value['schema']!r}, which a newer version "
            "of icl_vectors wrote; upgrade icl_vectors, or choose another folder."
        )


def is_newer(value: Mapping[str, Any]) -> bool:
    """Whether a file states another schema than this version knows."""
    return "schema" in value and value["schema"] != SCHEMA


def require_run(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """run.json, if its experiments can be read.

    Raises:
        IclVectorsError: a newer version wrote it.
        RunError: it is damaged.
    """
    require_plain(path, run)
    require_schema(path, run)
    experiments = run.setdefault("experiments", {})
    entries = experiments.values() if isinstance(experiments, dict) else [None]
    for entry in entries:
        if not _is_experiment(entry):
            raise damaged(path, "experiments with a configuration each")
    return run


def require_records(path: Path, records: Sequence[Any]) -> list[dict[str, Any]]:
    """The records of a run, if each says what became of which unit.

    Raises:
        RunError: one does not.
    """
    for number, record in enumerate(records, start=1):
        if not _is_record(record):
            raise damaged(path, "event, experiment, task and seed", number)
        require_plain(path, record)
    return list(records)


def unit_of(path: Path, line: Any) -> tuple[str, int]:
    """The unit that wrote a prompt or sample: its task, unless it says otherwise, and its seed.

    Raises:
        RunError: it has none.
    """
    if not _has_unit(line) or not isinstance(line.get("unit", ""), str):
        raise damaged(path, "lines with task and seed")
    require_plain(path, line)
    return line.get("unit", line["task"]), line["seed"]


def require_entries(path: Path, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sweep's entries in results.json, if each can be built on; none where there is no sweep.

    Raises:
        IclVectorsError: a newer version wrote them.
        RunError: they are damaged.
    """
    require_schema(path, results)
    entries = results.get("tasks", [])
    for entry in entries if isinstance(entries, list) else [None]:
        if not _is_entry(entry):
            raise damaged(path, "tasks with accuracies, best_layer and dev_accuracy_by_layer")
    return list(entries)


def faults_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Why θ does not carry a task, in words; older entries know of copies alone.

    Raises:
        ValueError: the entry says something else than words.
    """
    found = entry.get("fails", [COPIES] if entry.get("copies_dummies") else [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"fails: expected a list of texts, found {found!r}")
    return tuple(found)


def require_plain(path: Path, value: Any) -> None:
    """Refuse what can't be written again as JSON in UTF-8: NaN, infinity, half characters.

    Raises:
        RunError: there is such a thing in it.
    """
    try:
        to_json(value).encode()
    except ValueError as error:  # of UTF-8 too
        raise damaged(path, "plain JSON without NaN and half characters") from error


def damaged(path: Path, expected: str, line: int | None = None) -> RunError:
    """The error for a file of a run that holds something else than it should."""
    at = "" if line is None else f", line {line}"
    return RunError(
        f"{path}{at}: expected {expected}, found something else; it is damaged: choose another "
        "folder."
    )


def _is_experiment(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("configuration", {}), dict):
        return False
    return isinstance(entry.get("peak_memory_bytes", 0), int | float)


def _is_record(record: Any) -> bool:
    named = _has_unit(record) and isinstance(record.get("experiment"), str)
    if not named or not isinstance(record.get("event"), str):
        return False
    if record["event"] != "done":
        return all(isinstance(record.get(key, ""), str) for key in ("part", "job"))
    files, counts = record.get("files", {}), [record.get(key, 0) for key in ("prompts", "samples")]
    return (
        isinstance(record.get("result"), dict)
        and isinstance(record.get("seconds", 0.0), int | float)
        and all(isinstance(count, int) for count in counts)
        and isinstance(files, dict)
        and all(isinstance(size, int) for size in files.values())
    )


def _has_unit(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and isinstance(line.get("task"), str)
        and isinstance(line.get("seed"), int)
    )


def _is_entry(entry: Any) -> bool:
    if not _has_unit(entry) or not isinstance(entry.get("best_layer"), int):
        return False
    curve = entry.get("dev_accuracy_by_layer")
    shares = [*curve] if isinstance(curve, list) else ["none"]
    for method in METHODS:
        cell = entry.get(method)
        shares += [cell.get("accuracy") if isinstance(cell, dict) else "none"]
        if shares[-1] is None:
            return False
    return all(one is None or isinstance(one, int | float) for one in shares) and (
        0 <= entry["best_layer"] < len(curve)
    )
