"""Files of a run validated before anything is built on them: what is wrong is one error."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, StrictInt, ValidationError, model_validator

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.runs.files import to_json
from icl_vectors.runs.run_file import Record, RunFile
from icl_vectors.runs.schema import METHODS, SCHEMA, Count, Estimate, Model, Text

if TYPE_CHECKING:
    from torch import Tensor


class _Line(Model):
    task: Text
    seed: StrictInt
    unit: Text = ""


class Built(Model):
    """What other experiments build on, of a sweep's entry."""

    task: Text
    seed: StrictInt
    best_layer: Count
    dev_accuracy_by_layer: tuple[Annotated[float, Field(strict=True)] | None, ...]

    @model_validator(mode="after")
    def _has_its_layer(self) -> "Built":
        if self.best_layer >= len(self.dev_accuracy_by_layer):
            raise ValueError("best_layer is not among the layers")
        return self


Kind = TypeVar("Kind", bound=Model)


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
    run.setdefault("experiments", {})
    _require(path, RunFile, run, "experiments with a configuration each")
    return run


def require_records(path: Path, records: Sequence[Any]) -> list[dict[str, Any]]:
    """The records of a run, if each says what became of which unit.

    Raises:
        RunError: one does not.
    """
    for number, record in enumerate(records, start=1):
        _require(path, Record, record, "event, experiment, task and seed", number)
        require_plain(path, record)
    return list(records)


def unit_of(path: Path, line: Any) -> tuple[str, int]:
    """The unit that wrote a prompt or sample: its task, unless it says otherwise, and its seed.

    Raises:
        RunError: it has none.
    """
    found = _require(path, _Line, line, "lines with task and seed")
    require_plain(path, line)
    return found.unit or found.task, found.seed


def require_entries(path: Path, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sweep's entries in results.json, if each can be built on; none where there is no sweep.

    Raises:
        IclVectorsError: a newer version wrote them.
        RunError: they are damaged.
    """
    require_schema(path, results)
    entries = results.get("tasks", [])
    expected = "tasks with accuracies, best_layer and dev_accuracy_by_layer"
    for entry in entries if isinstance(entries, list) else [None]:
        _require(path, Built, entry, expected)
        for method in METHODS:
            found = {"low": 0.0, "high": 1.0, **_dict(_dict(entry).get(method))}
            _require(path, Estimate, found, expected)
    return list(entries)


def require_plain(path: Path, value: Any) -> None:
    """Refuse what can't be written again as JSON in UTF-8: NaN, infinity, half characters.

    Raises:
        RunError: there is such a thing in it.
    """
    try:
        to_json(value).encode()
    except ValueError as error:  # of UTF-8 too
        raise damaged(path, "plain JSON without NaN and half characters") from error


def read_tensor(path: Path, name: str) -> "Tensor":
    """A tensor of a safetensors file, as an experiment of the run wrote it.

    Raises:
        RunError: the file is missing or damaged, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)[name]
    except (SafetensorError, OSError, KeyError) as error:
        raise damaged(path, f"{name} as safetensors") from error


def damaged(path: Path, expected: str, line: int | None = None) -> RunError:
    """The error for a file of a run that holds something else than it should."""
    at = "" if line is None else f", line {line}"
    return RunError(
        f"{path}{at}: expected {expected}, found something else; it is damaged: choose another "
        "folder."
    )


def first_fault(error: ValidationError) -> str:
    """What pydantic says first: where, what, and what it found."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"no {where!r}"
    found = f", found {str(first['input'])[:60]!r}" if not isinstance(first["input"], dict) else ""
    return f"{where}: {text}{found}" if where else text


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _require(
    path: Path, kind: type[Kind], value: Any, expected: str, line: int | None = None
) -> Kind:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise damaged(path, expected, line) from error
