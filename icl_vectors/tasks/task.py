"""Tasks: named lists of input–output pairs, each output with its accepted variants."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.plain_text import fault_of_line, in_one_line, is_order
from icl_vectors.tasks.bijections import CATEGORY as BIJECTION
from icl_vectors.tasks.bijections import SOURCES, bijection
from icl_vectors.tasks.cells import in_order, is_several, text_of_row
from icl_vectors.tasks.files import read_pairs
from icl_vectors.tasks.generated import GENERATED

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
    "knowledge": ("country_capital", "person_language", "location_continent", "location_religion"),
}
OUTSIDE_ALL = {BIJECTION: tuple(SOURCES), "classification": ("sentiment", "topic", "question_type")}

LONGEST_NAME = 200  # bytes: what stands around it in a file's name has room up to 255
Outputs: TypeAlias = str | Iterable[str]
Demonstrations: TypeAlias = Mapping[str, Outputs] | Iterable[tuple[str, Outputs]]


@dataclass(frozen=True)
class Task:
    """Pairs of input and accepted outputs; the first output is the one that is demonstrated.

    Attributes:
        pairs: (input, (output, further accepted outputs …)), in the file's order, inputs unique.
        instruction: the rule in one line of words, for prompts that name it, or "".
        notes: what a reader of the task's file should know, such as lines that repeat others.
    """

    name: str
    pairs: tuple[tuple[str, tuple[str, ...]], ...]
    category: str = "user"
    version: int = 1
    description: str = ""
    source: str = ""
    licence: str = ""
    instruction: str = ""
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)
    answers: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.pairs:
            raise _wrong(self.name, "pairs, found none")
        if not isinstance(self.name, str) or not _is_file_name(self.name):
            raise _wrong(
                in_one_line(str(self.name))[:80],
                "a name that can be that of a file, without /, \\ and control characters, of at "
                f"most {LONGEST_NAME} bytes",
            )
        if fault := fault_of_line(self.instruction):
            raise _wrong(self.name, f"an instruction of one line, found {fault}")
        object.__setattr__(self, "answers", dict(self.pairs))

    @classmethod
    def from_pairs(
        cls, name: str, pairs: Mapping[str, Outputs] | Iterable[tuple[str, Outputs]]
    ) -> "Task":
        """A task from a mapping or an iterable of (input, output or outputs).

        Raises:
            IclVectorsError: no pairs, or a blank input or output. Repeated inputs are merged, sets
                are sorted.
        """
        merged: dict[str, dict[str, None]] = {}  # of each input, its outputs in order
        for input, given in _items(name, pairs):
            several = is_several(given) and not isinstance(given, Mapping)
            accepted = in_order(given) if several else [given]
            texts, shown = (input, *accepted), f"{input!r}: {accepted!r}"
            if not all(isinstance(text, str) for text in texts):
                raise _wrong(name, f"text for input and output, found {shown}")
            if not accepted or not all(text.strip() for text in texts):
                raise _wrong(name, f"an input and an output that are not blank, found {shown}")
            if fault := next(filter(None, map(fault_of_line, texts)), None):
                raise _wrong(name, f"one line for input and output, found {fault} in {shown}")
            known = merged.setdefault(str(input).strip(), {})
            known |= {str(out).strip(): None for out in accepted}
        return cls(name, tuple((input, tuple(outputs)) for input, outputs in merged.items()))

    @classmethod
    def from_file(cls, path: str | Path, *, strict: bool = False) -> "Task":
        """A user's own task from JSON, JSONL, CSV or TSV; the file's stem is its name.

        An input with several outputs accepts all of them, the first is demonstrated; that, and
        lines that repeat others, is in `notes`. The instruction is the column (the key)
        `instruction` of the first pair, or beside `pairs` in JSON.

        Args:
            strict: refuse a file that gives an input different outputs in different places.

        Raises:
            IclVectorsError: the file is damaged; path and line are named.
        """
        found = read_pairs(Path(path), strict)
        task = cls.from_pairs(Path(path).stem, found.pairs)
        return replace(task, notes=found.notes, instruction=found.instruction)

    @classmethod
    def from_frame(
        cls, name: str, frame: "pandas.DataFrame", input: str = "input", output: str = "output"
    ) -> "Task":
        """A task from two columns of a pandas frame; a cell of `output` may be a list or an array.

        Numbers become text. Rows with the same input are merged: each output is accepted.

        Raises:
            IclVectorsError: a column is missing, or a cell is blank or missing; its row is named.
        """
        if not hasattr(frame, "columns"):
            expected = f"a pandas frame with the columns {input} and {output}"
            hint = "Task.from_pairs takes lists and mappings"
            raise _wrong(name, f"{expected}, found {type(frame).__name__}; {hint}")
        for column in (input, output):
            if column not in frame.columns:
                raise unknown_name("column", column, map(str, frame.columns))
            if frame[column].ndim != 1:
                found = f"{frame[column].shape[1]}; rename or drop all but one"
                raise _wrong(name, f"one column {column!r}, found {found}")
        rows = zip(frame.index, frame[input], frame[output], strict=True)
        return cls.from_pairs(name, [text_of_row(name, *row) for row in rows])

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(input for input, _ in self.pairs)

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct accepted outputs, sorted."""
        return tuple(sorted({output for _, accepted in self.pairs for output in accepted}))

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


def select_tasks(
    names: str, task_files: Iterable[str | Path] = (), *, strict: bool = False
) -> tuple[Task, ...]:
    """The tasks of a comma-separated list of names, categories or `all`, then the user's own.

    Those of task files can be named too; a file whose task is not named comes after the others.
    """
    groups = {**CATEGORIES, **OUTSIDE_ALL, "all": list_tasks()}
    own = _from_files(task_files, {*known_tasks(), *groups}, strict)
    wanted: dict[str, Task] = {}
    for name in filter(None, (part.strip() for part in names.split(","))):
        for member in groups.get(name, (name,)):
            if member not in own and member not in known_tasks():
                raise unknown_name("task", member, [*known_tasks(), *groups, *own])
            wanted[member] = own.get(member) or load_task(member)
    wanted = {**wanted, **own}
    if not wanted:
        raise IclVectorsError("expected at least one task, found none; see `icl-vectors tasks`.")
    return tuple(wanted.values())


def _from_files(paths: Iterable[str | Path], taken: set[str], strict: bool) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for path in paths:
        task = Task.from_file(path, strict=strict)
        if task.name in taken or task.name in found:
            raise IclVectorsError(
                f"task file {path}: the name {task.name!r} is taken; rename the file."
            )
        found[task.name] = task
    return found


def _wrong(name: object, expected_and_found: str) -> IclVectorsError:
    return IclVectorsError(f"task {name!r}: expected {expected_and_found}.")


def _is_file_name(name: str) -> bool:
    as_bytes = name.encode("utf-8", "surrogatepass")
    parts = name in (".", "..") or set(name) & {"/", "\\"}
    return not parts and len(as_bytes) <= LONGEST_NAME and not any(map(is_order, name))


def _items(name: str, pairs: Any) -> Iterator[tuple[Any, Any]]:
    """The pairs; refuses what is none, as a caller may pass anything against the types."""
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        hint = "; a built-in task is load_task(…)" if pairs in list_tasks() else ""
        expected = "a mapping of inputs to outputs, or pairs of them"
        raise _wrong(name, f"{expected}, found {pairs!r}{hint}")
    if hasattr(pairs, "columns"):
        raise _wrong(name, f"pairs, found a frame; use Task.from_frame({name!r}, frame)")
    with_keys: Any = pairs if hasattr(pairs, "items") else None  # a mapping, a pandas Series
    for item in in_order(pairs) if with_keys is None else with_keys.items():
        pair = list(item) if is_several(item) and not isinstance(item, Set | Mapping) else []
        if len(pair) != 2:
            raise _wrong(name, f"pairs of input and output, found {item!r}")
        yield pair[0], pair[1]


def demonstrated(pairs: Demonstrations, name: str = "") -> list[tuple[str, str]]:
    """Each input with the output that a demonstration of it shows.

    Raises:
        IclVectorsError: as `Task.from_pairs`.
    """
    return [(input, outputs[0]) for input, outputs in Task.from_pairs(name, pairs).pairs]


def _data(name: str) -> dict[str, Any]:
    if name in GENERATED:
        return GENERATED[name]()
    text = (files("icl_vectors.data") / "tasks" / f"{name}.json").read_text("utf-8")
    return dict(json.loads(text))


def _from_data(data: Mapping[str, Any]) -> Task:
    pairs = tuple((pair["input"], tuple(pair["output"])) for pair in data["pairs"])
    rest = {key: value for key, value in data.items() if key != "pairs"}
    return Task(pairs=pairs, **rest)
