"""Numbers and texts that callers give, from NumPy, pandas or torch, as plain Python values."""

import operator
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from icl_vectors.errors import IclVectorsError

P = ParamSpec("P")
R = TypeVar("R")


def takes_numbers(function: Callable[P, R]) -> Callable[P, R]:
    """A function that also takes NumPy's and torch's numbers, such as `np.argmax(…)`.

    They become plain ones, so that they can be compared, written as JSON and put into names.
    """

    @wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        given: Any = [plain(value) for value in args]
        return function(*given, **{name: plain(value) for name, value in options.items()})

    return run


def plain(value: Any) -> Any:
    """A number of one value as Python's own; everything else as it is."""
    one_value = hasattr(type(value), "ndim") and value.ndim == 0  # asked of the class: a model
    return value.item() if one_value else value  # that nnsight opened answers to any name


def whole_number(value: object) -> int | None:
    """A value as a whole number; None where it is none (True is none, nor is 2.0)."""
    value = plain(value)
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def whole_numbers(values: object) -> list[int] | None:
    """Several values as whole numbers; None where one is none, or they are not several."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        return None
    found = [whole_number(value) for value in values]
    return None if None in found else [one for one in found if one is not None]


def texts(values: Any, what: str) -> list[Any]:
    """Texts in order, from any iterable of them; each is checked elsewhere.

    Raises:
        IclVectorsError: one value alone, a set, which has no order, or a table.
    """
    table = getattr(values, "ndim", 1) != 1
    if not isinstance(values, Iterable) or isinstance(values, bytes | set | frozenset) or table:
        raise IclVectorsError(
            f"expected {what}, a list of texts, found {type(values).__name__} "
            f"{' '.join(str(values).split())[:60]}."
        )
    return [str(one) if isinstance(one, str) else one for one in values]
