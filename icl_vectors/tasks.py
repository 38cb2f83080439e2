"""Tasks: named lists of input–output pairs, each output with its accepted variants."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from icl_vectors.bijections import CATEGORY as BIJECTION
from icl_vectors.bijections import SOURCES, bijection
from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.generated import GENERATED
from icl_vectors.plain_text import fault_of_line, in_one_line, is_order
from icl_vectors.task_files import read_pairs

if TYPE_CHECKING:
    import pandas

CATEGORIES: dict[str, tuple[str, ...]] = {
    "algorithmic": (
        "next_letter",
        "prev_letter",
        "list_first",
        "list_last",
        "to_upper",
        "to_lower",
    ),
    "translation": ("fr_en", "en_fr", "es_en", "en_es"),
    "linguistic": (
        "present_simple_gerund",
        "present_simple_past_simple",
        "plural_singular",
        "antonyms",
    ),
    "knowledge": (
        "country_capital",
        "person_language",
        "location_continent",
        "location_religion",
    ),
}
OUTSIDE_ALL = {BIJECTION: tuple(SOURCES)}

LONGEST_NAME = 200  # bytes: what stands around it in a file's name has room up to 255
Outputs: TypeAlias = str | Iterable[str]


@dataclass(frozen=True)
class Task:
    """Pairs of input and accepted outputs; the first output is the one that is demonstrated.

    Attributes:
        pairs: (input, (output, further accepted outputs …)), in the file's order, inputs unique.
        notes: what a reader of the task's file should know, such as lines that repeat others.
    """

    name: str
    pairs: tuple[tuple[str, tuple[str, ...]], ...]
    category: str = "user"
    version: int = 1
    description: str = ""
    source: str = ""
    licence: str = ""
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)
    answers: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.pairs:
            raise IclVectorsError(f"task {self.name!r}: expected pairs, found none.")
        if not isinstance(self.name, str) or not _is_file_name(self.name):
            raise IclVectorsError(
                f"task {in_one_line(str(self.name))[:80]!r}: expected a name that can be that of a "
                f"file, without /, \\ and control characters, of at most {LONGEST_NAME} bytes."
            )
        object.__setattr__(self, "answers", dict(self.pairs))

    @classmethod
    def from_pairs(
        cls, name: str, pairs: Mapping[str, Outputs] | Iterable[tuple[str, Outputs]]
    ) -> "Task":
        """A task from a mapping or an iterable of (input, output or outputs).

        Raises:
            IclVectorsError: no pairs, or a blank input or output. Repeated inputs are merged.
        """
        merged: dict[str, list[str]] = {}
        for input, given in _items(name, pairs):
            accepted = list(given) if isinstance(given, Iterable) else [given]
            accepted = [given] if isinstance(given, str) else accepted
            if not all(isinstance(text, str) for text in (input, *accepted)):
                raise IclVectorsError(
                    f"task {name!r}: expected text for input and output, "
                    f"found {input!r}: {accepted!r}."
                )
            if not input.strip() or not accepted or not all(out.strip() for out in accepted):
                raise IclVectorsError(
                    f"task {name!r}: expected an input and an output that are not blank, "
                    f"found {input!r}: {accepted!r}."
                )
            if fault := next(filter(None, map(fault_of_line, (input, *accepted))), None):
                raise IclVectorsError(
                    f"task {name!r}: expected one line for input and output, found {fault} in "
                    f"{input!r}: {accepted!r}."
                )
            known = merged.setdefault(input.strip(), [])
            known += [out.strip() for out in accepted if out.strip() not in known]
        return cls(name, tuple((input, tuple(outputs)) for input, outputs in merged.items()))

    @classmethod
    def from_file(cls, path: str | Path) -> "Task":
        """A user's own task from JSON, JSONL, CSV or TSV; the file's stem is its name.

        Raises:
            IclVectorsError: the file is damaged, or gives an input two different outputs; path
                and line are named. Lines that repeat others stand in `notes`.
        """
        found = read_pairs(Path(path))
        return replace(cls.from_pairs(Path(path).stem, found.pairs), notes=found.notes)

    @classmethod
    def from_frame(
        cls, name: str, frame: "pandas.DataFrame", input: str = "input", output: str = "output"
    ) -> "Task":
        """A task from two columns of a pandas frame; a cell of `output` may be a list.

        Numbers become text. Rows with the same input are merged: each output is accepted.

        Raises:
            IclVectorsError: a column is missing, or a cell is blank or missing; its row is named.
        """
        if not hasattr(frame, "columns"):
            raise IclVectorsError(
                f"task {name!r}: expected a pandas frame with the columns {input} and {output}, "
                f"found {type(frame).__name__}; Task.from_pairs takes lists and mappings."
            )
        for column in (input, output):
            if column not in frame.columns:
                raise unknown_name("column", column, map(str, frame.columns))
        rows = zip(frame.index, frame[input], frame[output], strict=True)
        return cls.from_pairs(name, [_cells(name, *row) for row in rows])

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(input for input, _ in self.pairs)

    @property
    def fingerprint(self) -> str:
        """A hash of name and pairs: the same data, the same hash, on every machine."""
        content = json.dumps([self.name, self.pairs], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def demonstration(self, input: str) -> tuple[str, str]:
        return input, self.answers[input][0]


def list_tasks() -> tuple[str, ...]:
    """The names of the tasks that `all` means, by category (the 18 of the paper's section 3.1)."""
    return tuple(name for names in CATEGORIES.values() for name in names)


def known_tasks() -> tuple[str, ...]:
    """The names of all built-in tasks, those outside `all` last."""
    return list_tasks() + tuple(name for names in OUTSIDE_ALL.values() for name in names)


@cache
def load_task(name: str) -> Task:
    """A built-in task by its name.

    Raises:
        IclVectorsError: there is no task of that name; the known ones are listed.
    """
    if name not in known_tasks():
        raise unknown_name("task", name, known_tasks())
    return _from_data(bijection(name, _data) if name in SOURCES else _data(name))


def select_tasks(names: str, task_files: Iterable[str | Path] = ()) -> tuple[Task, ...]:
    """The tasks of a comma-separated list of names, categories or `all`, then the user's own."""
    wanted: dict[str, Task] = {}
    categories = {**CATEGORIES, **OUTSIDE_ALL}
    for name in filter(None, (part.strip() for part in names.split(","))):
        for member in list_tasks() if name == "all" else categories.get(name, (name,)):
            if member not in known_tasks():
                raise unknown_name("task", member, [*known_tasks(), *categories, "all"])
            wanted[member] = load_task(member)
    for path in task_files:
        task = Task.from_file(path)
        if task.name in wanted or task.name in known_tasks():
            raise IclVectorsError(
                f"task file {path}: the name {task.name!r} is taken; rename the file."
            )
        wanted[task.name] = task
    if not wanted:
        raise IclVectorsError("expected at least one task, found none; see `icl-vectors tasks`.")
    return tuple(wanted.values())


def _is_file_name(name: str) -> bool:
    as_bytes = name.encode("utf-8", "surrogatepass")
    parts = name in (".", "..") or set(name) & {"/", "\\"}
    return not parts and len(as_bytes) <= LONGEST_NAME and not any(map(is_order, name))


def _items(name: str, pairs: Any) -> Iterator[tuple[Any, Any]]:
    """The pairs, whatever a caller passes against the types.

    Raises:
        IclVectorsError: they are no pairs.
    """
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        hint = "; a built-in task is load_task(…)" if pairs in list_tasks() else ""
        raise IclVectorsError(
            f"task {name!r}: expected a mapping of inputs to outputs, or pairs of them, found "
            f"{pairs!r}{hint}."
        )
    for item in pairs.items() if isinstance(pairs, Mapping) else pairs:
        if isinstance(item, str) or not isinstance(item, Sequence) or len(item) != 2:
            raise IclVectorsError(
                f"task {name!r}: expected pairs of input and output, found {item!r}."
            )
        yield item[0], item[1]


def _cells(name: str, row: Any, input: Any, output: Any) -> tuple[str, list[str]]:
    """Two cells of a frame as text."""
    outputs = list(output) if isinstance(output, list | tuple) else [output]
    for cell in (input, *outputs):
        if cell is None or cell != cell:  # NaN
            raise IclVectorsError(f"task {name!r}, row {row}: expected text, found a missing cell.")
    return str(input), [str(cell) for cell in outputs]


def _data(name: str) -> dict[str, Any]:
    if name in GENERATED:
        return GENERATED[name]()
    text = (files("icl_vectors.data") / "tasks" / f"{name}.json").read_text("utf-8")
    return dict(json.loads(text))


def _from_data(data: Mapping[str, Any]) -> Task:
    pairs = tuple((pair["input"], tuple(pair["output"])) for pair in data["pairs"])
    rest = {key: value for key, value in data.items() if key != "pairs"}
    return Task(pairs=pairs, **rest)
