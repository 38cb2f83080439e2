"""What a session gave must have the shapes that were asked for; anything else is never stored."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from icl_vectors.errors import RunError
from icl_vectors.remote.job import Job


def require_shapes(
    found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], job: Job | None
) -> None:
    """Check the tensors that a session gave; a job that gave others is not picked up again.

    Raises:
        RunError: a tensor is missing or has another shape.
    """
    for name, shape in expected.items():
        value = found.get(name)
        given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if given != shape:
            if job is not None:
                job.dismissed()
            raise RunError(
                f"the session gave {name} as {given}, expected {shape}; nothing of it was kept, "
                "the same command asks again."
            )
