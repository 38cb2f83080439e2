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
from icl_vectors.run_shapes import faults_of
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
    n_test = count_of(value["n_test"])
    n_dev = count_of(value.get("n_dev", 0))
    constant, apart = value.get("constant"), value.get("apart") or {"n": 0}
    n_apart = count_of(apart["n"])
    return TaskResult(
        task=text_of(value["task"]),
        category=text_of(value.get("category") or "user"),
        seed=int(value["seed"]),
        n_test=n_test,
        n_dev=n_dev,
        n_distinct=count_of(value.get("n_distinct", n_test)),
        n_echo=count_of(value.get("n_echo", 0)),
        baseline=accuracy_of(value["baseline"], n_test),
        hypothesis=accuracy_of(value["hypothesis"], n_test),
        regular=accuracy_of(value["regular"], n_test),
        best_layer=count_of(value["best_layer"]),
        dev_accuracy=tuple(
            None if one is None else share_of(one) for one in value["dev_accuracy_by_layer"]
        ),
        fails=faults_of(value),
        begin_alike=bool(value.get("begin_alike", False)),
        n_labels=_optional_count(value.get("n_labels")),
        constant=None if constant is None else accuracy_of(constant, n_test),
        n_apart=n_apart,
        apart=(accuracy_of(apart["hypothesis"], n_apart), accuracy_of(apart["regular"], n_apart))
        if n_apart
        else None,
    )


def conflict(value: Mapping[str, Any]) -> Conflict:
    n = count_of(value["n"])
    regular, injected = value["regular"], value["injected"]
    return Conflict(
        a=text_of(value["a"]),
        b=text_of(value["b"]),
        layer=_optional_count(value.get("layer")),
        n=n,
        regular_a=accuracy_of(regular["a"], n),
        regular_b=accuracy_of(regular["b"], n),
        injected_a=accuracy_of(injected["a"], n),
        injected_b=accuracy_of(injected["b"], n),
    )


def cluster(value: Mapping[str, Any], points: Sequence[Point]) -> Cluster:
    by_layer = value.get("silhouette_by_layer") or {}
    tasks = tuple(text_of(task) for task in value.get("tasks") or ())
    return Cluster(
        layer=_optional_count(value.get("layer")),
        per_task=_optional_count(value.get("per_task")),
        silhouette=number_of(value["silhouette"]),
        within=_optional_number(value.get("within")),
        between=_optional_number(value.get("between")),
        nearest={
            text_of(task): text_of(near) for task, near in (value.get("nearest") or {}).items()
        },
        tasks=tasks,
        distances=_square(value.get("distances"), len(tasks)),
        histogram=_histogram(value.get("histogram")),
        silhouette_by_layer={
            int(layer): number_of(one) for layer, one in by_layer.items() if one is not None
        },
        points=tuple(points),
    )


def point(row: Mapping[str, str]) -> Point:
    return Point(
        task=text_of(row["task"]),
        category=text_of(row.get("category") or "user"),
        tsne=(number_of(float(row["tsne_x"])), number_of(float(row["tsne_y"]))),
        pca=(number_of(float(row["pca_x"])), number_of(float(row["pca_y"]))),
    )


def vocabulary(value: Mapping[str, Any]) -> Vocabulary:
    tokens = _tokens(value["tokens"], "probability")
    return Vocabulary(
        task=text_of(value["task"]),
        layer=_optional_count(value.get("layer")),
        tokens=tokens,
        baseline=_tokens(value.get("baseline") or (), "probability"),
        added=_tokens(value.get("added") or (), "difference"),
        in_outputs=_in_outputs(value.get("in_outputs"), len(tokens)),
    )


def example(prompt: Mapping[str, Any], samples: Mapping[str, Mapping[str, Any]]) -> Example:
    return Example(
        task=text_of(prompt["task"]),
        query=text_of(prompt["query"]),
        answers=tuple(text_of(answer) for answer in prompt["answers"]),
        predictions={
            method: (text_of(sample["prediction"]), bool(sample["correct"]))
            for method, sample in samples.items()
        },
    )


def accuracy_of(value: Mapping[str, Any], n: int) -> Accuracy:
    return Accuracy(share_of(value["accuracy"]), share_of(value["low"]), share_of(value["high"]), n)


def _tokens(values: Sequence[Mapping[str, Any]], key: str) -> tuple[tuple[str, float], ...]:
    return tuple((text_of(value["token"]), number_of(value[key])) for value in values)


def _in_outputs(value: Any, n_tokens: int) -> float | None:
    """A share, from a share (a float) or a count (an integer) of the top tokens."""
    if value is None or not n_tokens:
        return None
    return share_of(value) if isinstance(value, float) else share_of(count_of(value) / n_tokens)


def _histogram(value: Mapping[str, Any] | None) -> Histogram | None:
    if value is None:
        return None
    edges, within, between = (
        tuple(number_of(one) for one in value[key]) for key in ("edges", "within", "between")
    )
    if not len(edges) - 1 == len(within) == len(between):
        raise ValueError("the histogram needs one edge more than counts")
    return Histogram(edges, within, between)


def _square(rows: Any, size: int) -> tuple[tuple[float, ...], ...]:
    if rows is None:
        return ()
    square = tuple(tuple(number_of(one) for one in row) for row in rows)
    if len(square) != size or any(len(row) != size for row in square):
        raise ValueError(f"distances: expected {size} × {size} values, one per task")
    return square


def text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}")
    return value


def number_of(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"expected a number, found {value!r}")
    return float(value)


def share_of(value: Any) -> float:
    if not 0 <= number_of(value) <= 1:
        raise ValueError(f"expected a share between 0 and 1, found {value!r}")
    return float(value)


def count_of(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected a count, found {value!r}")
    return value


def _optional_count(value: Any) -> int | None:
    return None if value is None else count_of(value)


def _optional_number(value: Any) -> float | None:
    return None if value is None else number_of(value)
