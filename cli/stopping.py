"""Ctrl-C and SIGTERM: the first ends the run in order, with one line; the second ends it at once.

Either way every file is whole, and what was finished is kept.
"""

import os
import signal
import sys
from _thread import interrupt_main
from threading import Timer
from types import FrameType

SWALLOWED = 0.01  # seconds until an interruption that got lost is raised again
HAS_TIMER = hasattr(signal, "setitimer")  # not on Windows
INTERRUPTED, TERMINATED = 130, 143  # as shells have it: 128 and the number of the signal
LINES = {
    INTERRUPTED: "error: interrupted; what was finished is kept.",
    TERMINATED: "error: terminated; what was finished is kept, the same command goes on.",
}


class Stopping:
    """Listens to the signals that ask a command to end.

    Attributes:
        code: the exit code that the first of them asks for, 0 before.
    """

    def __init__(self) -> None:
        self.code = 0
        self._has_said = self._was_lost = False
        self._hook = sys.unraisablehook

    def listen(self) -> None:
        """From now on; a signal that whoever started the command had ignored stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)
        if HAS_TIMER:
            signal.signal(signal.SIGALRM, self._stop_again)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._swallowed

    def close(self) -> int:
        """Say why the command ends, where it was asked to; nothing disturbs its end from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGALRM] if HAS_TIMER else [])):
            signal.signal(number, signal.SIG_IGN)
        if self.code:
            self._say()
        return self.code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._was_lost:
            self._stop_again(number, frame)
        if self.code:
            self._say()
            os._exit(self.code)
        self.code = 128 + number
        raise KeyboardInterrupt

    def _swallowed(self, lost: "sys.UnraisableHookArgs") -> None:
        """A signal may come while a finalizer runs, where Python drops what is raised."""
        if self.code and issubclass(lost.exc_type, KeyboardInterrupt):
            if HAS_TIMER:
                signal.setitimer(signal.ITIMER_REAL, SWALLOWED)
            else:
                self._was_lost = True
                Timer(SWALLOWED, interrupt_main).start()
        else:
            self._hook(lost)

    def _stop_again(self, number: int, frame: FrameType | None) -> None:
        self._was_lost = False
        raise KeyboardInterrupt

    def _say(self) -> None:
        if not self._has_said:
            self._has_said = True
            sys.stdout.flush()
            os.write(2, f"{LINES[self.code]}\n".encode())
