"""How a run looks while it goes: a bar on a terminal, plain lines elsewhere; always stderr."""

import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from icl_vectors.cli.terminal import printable, show
from icl_vectors.observer import Observer
from icl_vectors.plain_text import without_orders


class Watcher(Observer):
    """Shows an experiment on stderr: one bar over tasks, one over prompts, one line a result."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        is_terminal = sys.stderr.isatty()  # rich would also take FORCE_COLOR for one
        self._console = Console(stderr=True, highlight=False, force_terminal=is_terminal)
        self._is_terminal = is_terminal and not quiet
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._is_terminal,
        )
        self._units = self._bars.add_task("tasks", total=None, rate="")
        self._prompts = self._bars.add_task("prompts", total=None, rate="", visible=False)
        self._unit_start = perf_counter()

    def __enter__(self) -> "Watcher":
        if self._is_terminal:  # an older rich ends even a disabled bar with a line
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_terminal:
            self._bars.stop()

    def started(self, units: int, already_done: int) -> None:
        self._bars.update(self._units, total=units, completed=already_done)
        if already_done == units:
            self.log(f"All {units} were finished before.")
        elif already_done:
            self.log(f"{already_done} of {units} finished before; going on with the rest.")

    def phase(self, task: str, seed: int, phase: str, done: int, total: int) -> None:
        if done == 0:
            self._unit_start = perf_counter()
            self._bars.reset(self._prompts)
        seconds = perf_counter() - self._unit_start
        rate = f"{done / seconds:.1f} prompts/s" if done else ""
        self._bars.update(
            self._prompts,
            description=printable(f"{task} · {phase}"),
            completed=done,
            total=total,
            rate=rate,
            visible=True,
        )

    def job(self, task: str, seed: int, state: str) -> None:
        if self._is_terminal:
            shown = printable(f"{task} · {state}")
            self._bars.update(self._prompts, description=shown, visible=True)
        else:
            self.log(f"{task}: {state}")

    def finished(self, result: Mapping[str, Any], line: str) -> None:
        self._bars.advance(self._units)
        self.log(line)

    def failed(self, task: str, seed: int, error: str) -> None:
        self._bars.advance(self._units)
        self.log(f"{task}: not run: {error}")

    def log(self, text: str) -> None:
        if self._quiet:
            return
        if self._is_terminal:
            self._console.print(without_orders(text), markup=False, soft_wrap=True)
        else:
            show(text, sys.stderr)
