"""Parts of results.json as `compare` writes them, with invented numbers."""

from collections.abc import Mapping
from typing import Any

from tests.report.folders import share

CONTROLS = ("random", "shuffled", "other-task", "task-mean")


def entry(task: str, category: str, method: str, hits: int, **more: Any) -> dict[str, Any]:
    return {
        "task": task, "category": category, "method": method, "n": 50, **share(hits),
        "log_probability": -1.5, "rank": 2.0, "total_variation": 0.4, "divergence": 0.9,
        "layer_tokens": 1000, "seconds": 2.0, "jobs": 0, **more,
    }  # fmt: skip


def against(accuracy: float, won: int, lost: int, p: float) -> dict[str, Any]:
    return {"accuracy": accuracy, "n": 150, "won": won, "lost": lost, "p": p}


def compared(
    hits: Mapping[str, tuple[int, ...]], categories: tuple[str, ...], beats: bool = True
) -> dict[str, Any]:
    """A comparison with the hits of each method on each task, and of its controls.

    Args:
        hits: by method, of 50 on each task.
    """
    entries, summary = [], []
    tasks = [f"task{number}" for number in range(len(categories))]
    for method, values in hits.items():
        plain = method in ("regular", "zero-shot")
        for task, category, value in zip(tasks, categories, values, strict=True):
            entries.append(entry(task, category, method, value, choice={"layer": 9}))
            for control in () if plain else CONTROLS:
                about = {"of": method, "control": control}
                entries.append(entry(task, category, f"{method}:{control}", 3, **about))
        names = ["zero-shot", *(f"{method}:{control}" for control in CONTROLS)]
        held = {} if plain else {name: against(0.06, 90, 4, 1e-9) for name in names}
        if held and not beats:
            held[names[-1]] = against(0.5, 10, 12, 0.8)
        summary.append(
            {
                "method": method,
                "n_tasks": len(tasks),
                "n": 50 * len(tasks),
                "accuracy": sum(values) / 50 / len(values),
                "log_probability": -1.5,
                "rank": 2.0,
                "total_variation": 0.4,
                "divergence": 0.9,
                "layer_tokens": 3000,
                "layer_tokens_choosing": 9000,
                "ranking": 0,
                "jobs": 0,
                "seconds": 6.0,
                "against": {} if plain else {"regular": against(0.9, 1, 20, 1e-4), **held},
                "beats_controls": None if plain else beats,
            }  # fmt: skip
        )
    arrows = [entry(task, "user", "state", 30, arrow=arrow) for task in tasks for arrow in "=:"]
    curve = [
        entry(task, "user", method, 10 * shots, shots=shots)
        for task in tasks
        for method in ("regular", "state")
        for shots in (0, 1, 4)
        if shots or method == "regular"
    ]
    return {
        "compare": entries,
        "compare_summary": summary,
        "compare_arrows": arrows,
        "compare_shots": curve,
    }
