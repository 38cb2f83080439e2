"""Calls take turns: nnsight's tracing is global, so that two threads would mix their states."""

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
LOCK = RLock()  # one in a process, whatever the model


def takes_turns(function: Callable[P, R]) -> Callable[P, R]:
    """A function that waits until no other thread is in one of these."""

    @wraps(function)
    def in_turn(*given: P.args, **options: P.kwargs) -> R:
        with LOCK:
            return function(*given, **options)

    return in_turn
