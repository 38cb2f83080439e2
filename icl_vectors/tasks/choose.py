"""What must hold before anything is run; imports nothing heavy."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.given import whole_numbers
from icl_vectors.tasks.cells import in_order
from icl_vectors.tasks.task import Task, known_tasks, load_task, select_tasks

PAPER_PAIRS = (
    "next_letter:to_upper,list_last:list_first,prev_letter:next_letter,"
    "present_simple_past_simple:present_simple_gerund,en_es:en_fr"
)


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """The seeds, each once; refuses seeds that are no whole numbers, and none at all.

    Raises:
        IclVectorsError: naming what was found.
    """
    listed = whole_numbers(seeds)
    if not listed:
        raise IclVectorsError(f"seeds {seeds!r}: expected whole numbers, such as (41, 42).")
    return tuple(dict.fromkeys(listed))


def gather_tasks(tasks: str | Task | Iterable[str | Task]) -> tuple[Task, ...]:
    """Tasks from names, categories, `all`, and tasks of one's own."""
    if isinstance(tasks, str):
        return select_tasks(tasks)
    tasks = [tasks] if isinstance(tasks, Task) else tasks
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


def require_own_tasks(names: Iterable[str], own: Collection[str]) -> None:
    """Refuse to repeat a run on tasks that are neither built in nor among the user's.

    Raises:
        IclVectorsError: naming them.
    """
    if lost := [name for name in names if name not in own and name not in known_tasks()]:
        raise IclVectorsError(
            "--config: expected the data of that run's own tasks, found none of "
            f"{', '.join(lost)}; give their files with --task-file."
        )


def parse_pairs(
    given: str | Mapping[str, Any] | Iterable[Any], own: Iterable[Task] = ()
) -> tuple[tuple[Task, Task], ...]:
    """The pairs of "A:B,…", of a run.json, or of (A, B) with names or tasks.

    Args:
        own: the user's tasks, which names may mean too.

    Raises:
        IclVectorsError: not of that form, an unknown task, or a pair of one task.
    """
    if isinstance(given, str):
        given = [part.strip().split(":") for part in given.split(",") if part.strip()]
    elif isinstance(given, Mapping):
        return _same_pairs(given, own)
    pairs, named = [], {task.name: task for task in own}
    for part in given:
        names = [one.strip() if isinstance(one, str) else one for one in part]
        shown = ":".join(getattr(one, "name", str(one)) for one in names)
        if len(names) != 2 or not all(names):
            raise IclVectorsError(f"--pairs {shown!r}: expected A:B, two tasks.")
        a, b = (one if isinstance(one, Task) else named.get(one) or load_task(one) for one in names)
        if a.name == b.name:
            raise IclVectorsError(f"--pairs {shown!r}: expected two different tasks.")
        pairs.append((a, b))
    if not pairs:
        raise IclVectorsError("--pairs: expected A:B,…, found none.")
    return tuple(dict.fromkeys(pairs))


def _same_pairs(recorded: Mapping[str, Any], own: Iterable[Task]) -> tuple[tuple[Task, Task], ...]:
    """The pairs of a run, whose tasks' data must be what they were."""
    named = {task.name: task for task in own}
    require_own_tasks((name for pair in recorded for name in pair.split(":")), named)
    found = parse_pairs(",".join(recorded), named.values())
    for a, b in found:
        expected = recorded[f"{a.name}:{b.name}"]
        if list(expected) != [a.fingerprint, b.fingerprint]:
            raise IclVectorsError(
                f"pair {a.name}:{b.name}: expected the data of that run (fingerprints "
                f"{expected}), found {[a.fingerprint, b.fingerprint]}."
            )
    return found
