"""An observer that keeps what it is told and stops a run where it should."""

from typing import Any

from icl_vectors.observer import Observer


class Listener(Observer):
    """Keeps what is logged, lines, failures and phases.

    Args:
        stop_after: units after which the run is interrupted; 0: never. Not counted are units that
            lack the key `counting`, which those of a sweep that runs first may do.
        stop_at: a logged line, or a "task phase", at which it is.
    """

    def __init__(self, stop_after: int = 0, *, stop_at: str = "", counting: str = "") -> None:
        self.logged: list[str] = []
        self.lines: list[str] = []
        self.ran: list[str] = []
        self.failures: list[tuple[str, int, str]] = []
        self.phases: list[str] = []
        self.done_before = 0
        self.stop_after, self.stop_at, self.counting = stop_after, stop_at, counting

    def started(self, units: int, already_done: int) -> None:
        self.done_before = already_done

    def log(self, text: str) -> None:
        self.logged.append(text)
        if text == self.stop_at:
            raise KeyboardInterrupt

    def phase(self, task: str, seed: int, phase: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.phases.append(phase)
        if self.stop_at == f"{task} {phase}" and done:
            raise KeyboardInterrupt

    def finished(self, result: Any, line: str) -> None:
        if self.counting and self.counting not in result:
            return
        self.lines.append(line)
        self.ran.append(result.get("task", ""))
        if len(self.lines) == self.stop_after:
            raise KeyboardInterrupt

    def failed(self, task: str, seed: int, error: str) -> None:
        self.failures.append((task, seed, error))


def never(*given: Any, **options: Any) -> None:
    """In the place of what must not run."""
    raise AssertionError("the model ran")
