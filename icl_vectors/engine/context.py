"""What one unit is measured with: prompts become tokens, a session a job, batches fit in memory."""

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, TypeVar

from icl_vectors.engine.check import require_checked
from icl_vectors.engine.jobs import Jobs
from icl_vectors.errors import IclVectorsError, UnitRefused, not_finite
from icl_vectors.models.memory import choose_batch_size, with_smaller_batches
from icl_vectors.models.model import Model
from icl_vectors.observer import Observer
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.limits import encode_most, encode_prompts
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template
from icl_vectors.remote.job import Job
from icl_vectors.runs.folder import RunFolder, Unit

T = TypeVar("T")


class Context:
    """One unit of an experiment while it runs.

    Args:
        batch_size: prompts at once, or None: chosen from free memory.
    """

    def __init__(
        self,
        model: Model,
        template: Template,
        batch_size: int | None,
        folder: RunFolder,
        unit: Unit,
        observer: Observer,
    ) -> None:
        self.model, self.template, self.folder, self.unit = model, template, folder, unit
        self.observer, self.batch_size = observer, batch_size
        self._jobs: Jobs | None = None
        self._start = perf_counter()

    def encode(
        self, prompts: Iterable[Prompt], new_tokens: int = 0, *, leave_out: bool = False
    ) -> list[EncodedPrompt]:
        """Prompts as token ids, in order.

        Args:
            new_tokens: of the answers that are to be generated after them.
            leave_out: those whose arrow the tokenizer joins with an answer are left out and named.

        Raises:
            UnitRefused: one of them can't be encoded, or too few are left.
        """
        try:
            if not leave_out:
                return encode_prompts(self.model, self.template, prompts, new_tokens)
            found, left_out = encode_most(self.model, self.template, prompts, new_tokens)
            if left_out:
                self.observer.log(left_out)
            return found
        except IclVectorsError as error:
            raise UnitRefused(str(error)) from error

    def run(
        self, session: Callable[[int], T], prompts: Sequence[EncodedPrompt], size: int | None = None
    ) -> T:
        """What a session finds, called with the number of prompts at once.

        The model is checked first; the number is halved as long as memory runs out.

        Args:
            size: prompts at once, where it is known.

        Raises:
            RunError: the model fails a check, or not even one prompt fits.
        """
        require_checked(self.model, self.template, prompts)
        size = size or self.batch_size or choose_batch_size(self.model, prompts)
        if self._jobs is None:
            self._start = perf_counter()
        found, self.batch_size = with_smaller_batches(session, size, self.observer.log)
        return found

    def job(self, part: str) -> Job | None:
        """The job of a part of the unit, to be handed to a session; None on this machine."""
        return self.jobs.job(part)

    @property
    def jobs(self) -> Jobs:
        """The unit's jobs; that it has begun is recorded when they are first asked for."""
        if self._jobs is None:
            self._jobs = Jobs(self.model, self.folder, self.unit, self.observer)
        return self._jobs

    def progress(self, **totals: int) -> Callable[[str, int], None]:
        """A function that is called with each batch: phase and prompts; `totals` by phase."""
        first = next(iter(totals))
        counted = dict.fromkeys(totals, 0)
        self.observer.phase(*self.unit, first, 0, totals[first])

        def report(phase: str, prompts: int) -> None:
            counted[phase] += prompts
            done = min(counted[phase], totals[phase])
            self.observer.phase(*self.unit, phase, done, totals[phase])

        return report

    def require_finite(self, finite: Any, where: str) -> None:
        """Go on only if states or logits are finite.

        Raises:
            RunError: they are not; nothing of the unit is kept.
        """
        if not bool(finite):
            raise not_finite(f"{self.unit[0]}: {where}", self.model.dtype, self.model.device)

    def cost(self) -> dict[str, Any]:
        """What the unit took, as its `done` record states it: seconds, batch size, jobs."""
        found = {"seconds": self.seconds, "batch_size": self.batch_size}
        return {**found, **self.jobs.cost()}

    @property
    def seconds(self) -> float:
        """Since the first session began."""
        return round(perf_counter() - self._start, 3)
