"""From the JSON of a run to dataclasses; what can't be read is named, never guessed."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

from icl_vectors.report.run import (
    Cluster,
    Conflict,
    Example,
    Histogram,
    Point,
    TaskResult,
    Vocabulary,
)
from icl_vectors.scoring import Accuracy

Entry = TypeVar("Entry")
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def parse_each(
    values: Any, parse: Callable[[Any], Entry], what: str, lacking: list[str]
) -> tuple[Entry, ...]:
    """Every entry that can be read; the others are named in `lacking`."""
    if values is None:
        return ()
    if not isinstance(values, list):
        lacking.append(f"{what}: expected a list, found something else")
        return ()
    found = [
        parse_one(value, parse, f"{what}, entry {i + 1}", lacking) for i, value in enumerate(values)
    ]
    return tuple(entry for entry in found if entry is not None)


def parse_one(
    value: Any, parse: Callable[[Any], Entry], what: str, lacking: list[str]
) -> Entry | None:
    """An entry, or None where it can't be read."""
    try:
        return parse(value)
    except UNREADABLE as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        lacking.append(f"{what}: damaged ({detail})")
        return None


def task_result(value: Mapping[str, Any]) -> TaskResult:
    n_test = _count(value["n_test"])
    n_dev = _count(value.get("n_dev", 0))
    return TaskResult(
        task=_text(value["task"]),
        category=_text(value.get("category") or "user"),
        seed=int(value["seed"]),
        n_test=n_test,
        n_dev=n_dev,
        n_distinct=_count(value.get("n_distinct", n_test)),
        n_echo=_count(value.get("n_echo", 0)),
        baseline=_accuracy(value["baseline"], n_test),
        hypothesis=_accuracy(value["hypothesis"], n_test),
        regular=_accuracy(value["regular"], n_test),
        best_layer=_count(value["best_layer"]),
        dev_accuracy=tuple(
            None if one is None else _share(one) for one in value["dev_accuracy_by_layer"]
        ),
        copies_dummies=bool(value.get("copies_dummies", False)),
    )


def conflict(value: Mapping[str, Any]) -> Conflict:
    n = _count(value["n"])
    regular, injected = value["regular"], value["injected"]
    return Conflict(
        a=_text(value["a"]),
        b=_text(value["b"]),
        layer=_optional_count(value.get("layer")),
        n=n,
        regular_a=_accuracy(regular["a"], n),
        regular_b=_accuracy(regular["b"], n),
        injected_a=_accuracy(injected["a"], n),
        injected_b=_accuracy(injected["b"], n),
    )


def cluster(value: Mapping[str, Any], points: Sequence[Point]) -> Cluster:
    by_layer = value.get("silhouette_by_layer") or {}
    tasks = tuple(_text(task) for task in value.get("tasks") or ())
    return Cluster(
        layer=_optional_count(value.get("layer")),
        per_task=_optional_count(value.get("per_task")),
        silhouette=_number(value["silhouette"]),
        within=_optional_number(value.get("within")),
        between=_optional_number(value.get("between")),
        nearest={_text(task): _text(near) for task, near in (value.get("nearest") or {}).items()},
        tasks=tasks,
        distances=_square(value.get("distances"), len(tasks)),
        histogram=_histogram(value.get("histogram")),
        silhouette_by_layer={
            int(layer): _number(one) for layer, one in by_layer.items() if one is not None
        },
        points=tuple(points),
    )


def point(row: Mapping[str, str]) -> Point:
    return Point(
        task=_text(row["task"]),
        category=_text(row.get("category") or "user"),
        tsne=(_number(float(row["tsne_x"])), _number(float(row["tsne_y"]))),
        pca=(_number(float(row["pca_x"])), _number(float(row["pca_y"]))),
    )


def vocabulary(value: Mapping[str, Any]) -> Vocabulary:
    tokens = _tokens(value["tokens"], "probability")
    return Vocabulary(
        task=_text(value["task"]),
        layer=_optional_count(value.get("layer")),
        tokens=tokens,
        baseline=_tokens(value.get("baseline") or (), "probability"),
        added=_tokens(value.get("added") or (), "difference"),
        in_outputs=_in_outputs(value.get("in_outputs"), len(tokens)),
    )


def example(prompt: Mapping[str, Any], samples: Mapping[str, Mapping[str, Any]]) -> Example:
    return Example(
        task=_text(prompt["task"]),
        query=_text(prompt["query"]),
        answers=tuple(_text(answer) for answer in prompt["answers"]),
        predictions={
            method: (_text(sample["prediction"]), bool(sample["correct"]))
            for method, sample in samples.items()
        },
    )


def _accuracy(value: Mapping[str, Any], n: int) -> Accuracy:
    return Accuracy(_share(value["accuracy"]), _share(value["low"]), _share(value["high"]), n)


def _tokens(values: Sequence[Mapping[str, Any]], key: str) -> tuple[tuple[str, float], ...]:
    return tuple((_text(value["token"]), _number(value[key])) for value in values)


def _in_outputs(value: Any, n_tokens: int) -> float | None:
    """A share, from a share (a float) or a count (an integer) of the top tokens."""
    if value is None or not n_tokens:
        return None
    return _share(value) if isinstance(value, float) else _share(_count(value) / n_tokens)


def _histogram(value: Mapping[str, Any] | None) -> Histogram | None:
    if value is None:
        return None
    edges, within, between = (
        tuple(_number(one) for one in value[key]) for key in ("edges", "within", "between")
    )
    if not len(edges) - 1 == len(within) == len(between):
        raise ValueError("the histogram needs one edge more than counts")
    return Histogram(edges, within, between)


def _square(rows: Any, size: int) -> tuple[tuple[float, ...], ...]:
    if rows is None:
        return ()
    square = tuple(tuple(_number(one) for one in row) for row in rows)
    if len(square) != size or any(len(row) != size for row in square):
        raise ValueError(f"distances: expected {size} × {size} values, one per task")
    return square


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"expected a number, found {value!r}")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError(f"expected a share between 0 and 1, found {value!r}")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected a count, found {value!r}")
    return value


def _optional_count(value: Any) -> int | None:
    return None if value is None else _count(value)


def _optional_number(value: Any) -> float | None:
    return None if value is None else _number(value)
