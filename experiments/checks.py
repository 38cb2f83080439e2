"""What must hold before anything is run; imports nothing heavy."""

from collections.abc import Iterable

from icl_vectors.cells import in_order
from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.given import whole_number, whole_numbers
from icl_vectors.tasks import Task, load_task, select_tasks

PAPER_PAIRS = (
    "next_letter:to_upper,list_last:list_first,prev_letter:next_letter,"
    "present_simple_past_simple:present_simple_gerund,en_es:en_fr"
)
ANSWERS = ("first-token", "generate")
CHOICES = ("accuracy", "apart")
LEAST = {"shots": 0, "per_task": 2}  # two θ a task: a cluster of one has no silhouette


def check_counts(*, batch_size: int | None = None, **counts: int) -> None:
    """Refuse counts below 1 (or below what `LEAST` says).

    Raises:
        IclVectorsError: naming the option.
    """
    for name, count in counts.items():
        least = LEAST.get(name, 1)
        if not is_whole(count) or count < least:
            option = name.replace("_", "-")
            raise IclVectorsError(f"--{option} {count}: expected {least} or more.")
    if batch_size is not None and (not is_whole(batch_size) or batch_size < 1):
        raise IclVectorsError(f"--batch-size {batch_size}: expected auto, or 1 or more.")


def is_whole(value: object) -> bool:
    """Whether a value is a whole number (True is none)."""
    return whole_number(value) is not None


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """The seeds, each once; refuses seeds that are no whole numbers, and none at all.

    Raises:
        IclVectorsError: naming what was found.
    """
    listed = whole_numbers(seeds)
    if not listed:
        raise IclVectorsError(f"seeds {seeds!r}: expected whole numbers, such as (41, 42).")
    return tuple(dict.fromkeys(listed))


def check_answer(answer: str) -> None:
    """Refuse answer modes that are not known.

    Raises:
        IclVectorsError: naming the known ones.
    """
    if answer not in ANSWERS:
        raise unknown_name("--answer", answer, ANSWERS)


def check_choice(choose_layer: str) -> None:
    """Refuse rules for the layer that are not known.

    Raises:
        IclVectorsError: naming the known ones.
    """
    if choose_layer not in CHOICES:
        raise unknown_name("--choose-layer", choose_layer, CHOICES)


def gather_tasks(tasks: str | Iterable[str | Task]) -> tuple[Task, ...]:
    """Tasks from names, categories, `all`, and tasks of one's own."""
    if isinstance(tasks, str):
        return select_tasks(tasks)
    if not isinstance(tasks, Iterable):
        raise IclVectorsError(f"tasks {tasks!r}: expected names, or a list of tasks.")
    found: dict[str, Task] = {}
    for item in in_order(tasks):
        if not isinstance(item, Task | str):
            raise IclVectorsError(f"expected tasks or their names, found {item!r}.")
        for task in (item,) if isinstance(item, Task) else select_tasks(item):
            if found.setdefault(task.name, task).fingerprint != task.fingerprint:
                raise IclVectorsError(f"two tasks are named {task.name!r}; rename one of them.")
    if not found:
        raise IclVectorsError("expected at least one task, found none.")
    if "" in found:
        raise IclVectorsError("expected tasks with a name, found one without.")
    return tuple(found.values())


def parse_pairs(text: str) -> list[tuple[Task, Task]]:
    """The pairs of "A:B,…".

    Raises:
        IclVectorsError: not of that form, an unknown task, or a pair of one task.
    """
    pairs = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        names = [name.strip() for name in part.split(":")]
        if len(names) != 2 or not all(names):
            raise IclVectorsError(f"--pairs {part!r}: expected A:B, two tasks.")
        if names[0] == names[1]:
            raise IclVectorsError(f"--pairs {part!r}: expected two different tasks.")
        pairs.append((load_task(names[0]), load_task(names[1])))
    if not pairs:
        raise IclVectorsError("--pairs: expected A:B,…, found none.")
    return list(dict.fromkeys(pairs))
