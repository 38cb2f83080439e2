"""What an experiment tells whoever watches it; the command line draws it, tests collect it."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

LOGGER = logging.getLogger("icl_vectors")
Log: TypeAlias = Callable[[str], None]  # is given one line that the user should know


def silent(text: str) -> None:
    """A log that shows nothing."""


class Observer:
    """Watches an experiment; every method may be overridden, none needs to be."""

    def started(self, units: int, already_done: int) -> None:
        """The run begins: how many units it has, and how many were finished before."""

    def phase(self, task: str, seed: int, phase: str, done: int, total: int) -> None:
        """A batch of prompts has been run: prompts done of this unit's total."""

    def finished(self, result: Mapping[str, Any], line: str) -> None:
        """A unit has its result: its entry, and the same in one line."""

    def failed(self, task: str, seed: int, error: str) -> None:
        """A unit could not be run; the others go on. It is logged where nothing else tells it."""
        LOGGER.warning("%s (seed %s) was not run: %s", task, seed, error)

    def job(self, task: str, seed: int, state: str) -> None:
        """A unit's job on a server has a new state, such as "queued, position 2"."""

    def log(self, text: str) -> None:
        """Something the user should know."""
