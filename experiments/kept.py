"""The vectors that a sweep made, without holding them all in memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from icl_vectors.run_folder import Unit
from icl_vectors.vectors import TaskVector


class Vectors(Mapping[Unit, TaskVector]):
    """Task vectors by unit; those that are kept as files are read when they are asked for."""

    def __init__(self, vectors: Mapping[Unit, TaskVector | Path]) -> None:
        self._vectors = vectors

    def __getitem__(self, unit: Unit) -> TaskVector:
        found = self._vectors[unit]
        return TaskVector.load(found) if isinstance(found, Path) else found

    def __iter__(self) -> Iterator[Unit]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)
