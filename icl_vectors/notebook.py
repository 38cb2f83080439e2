"""Progress in a Jupyter notebook: one line that is replaced as the run goes on.

Used where nothing else watches and IPython runs in a kernel; a plain Python process stays silent.
"""

import sys
from collections.abc import Mapping
from html import escape
from importlib import import_module
from typing import Any

from icl_vectors.observer import Observer

KERNEL = "ZMQInteractiveShell"  # of a notebook; a terminal's IPython is another


def default_observer() -> Observer:
    """What watches a run that was given no observer."""
    return NotebookObserver() if in_notebook() else Observer()


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return type(shell).__name__ == KERNEL


class NotebookObserver(Observer):
    """Shows the tasks done, and the prompts of the one that runs."""

    def __init__(self) -> None:
        self._units = self._done = 0
        self._handle: Any = None

    def started(self, units: int, already_done: int) -> None:
        self._units, self._done = units, already_done
        self._show("")

    def phase(self, task: str, seed: int, phase: str, done: int, total: int) -> None:
        self._show(f"{task}, {phase}: {done} of {total} prompts")

    def finished(self, result: Mapping[str, Any], line: str) -> None:
        self._done += 1
        self._show(line)

    def job(self, task: str, seed: int, state: str) -> None:
        self._show(f"{task}: {state}")

    def log(self, text: str) -> None:
        self._show(text)

    def failed(self, task: str, seed: int, error: str) -> None:
        self._done += 1
        self._show(f"{task}: not run: {error}")

    def _show(self, text: str) -> None:
        ipython: Any = import_module("IPython.display")  # its functions have no types
        bar = f"<progress max='{self._units or 1}' value='{self._done}'></progress>"
        page = ipython.HTML(f"{bar} {self._done} of {self._units} {escape(text)}")
        if self._handle is None:
            self._handle = ipython.display(page, display_id=True)
        else:
            self._handle.update(page)
