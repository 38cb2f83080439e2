"""An error of the package, by what it says."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from icl_vectors.errors import IclVectorsError


@contextmanager
def told(*texts: str, error: type[IclVectorsError] = IclVectorsError) -> Iterator[None]:
    """Expects an error of one line with all of the texts in it."""
    with pytest.raises(error) as raised:
        yield
    message = str(raised.value)
    for text in texts:
        assert text in message
    assert "\n" not in message
