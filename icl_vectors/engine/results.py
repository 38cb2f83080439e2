"""What every experiment returns: results.json, the run's folder, a data frame."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_vectors.runs.folder import Unit, vector_file

if TYPE_CHECKING:
    import pandas

    from icl_vectors.engine.experiment import Experiment
    from icl_vectors.vectors.vector import TaskVector


class Vectors(Mapping[Unit, "TaskVector"]):
    """Mean θ over the test prompts by (task, seed); those in a folder are read when asked for."""

    def __init__(self, vectors: "Mapping[Unit, TaskVector | Path]") -> None:
        self._vectors = dict(vectors)

    @classmethod
    def of_folder(cls, folder: Path, data: Mapping[str, Any]) -> "Vectors":
        """Those that a sweep left in a run's folder."""
        units = [(entry["task"], entry["seed"]) for entry in data.get("tasks", [])]
        paths = {unit: vector_file(folder, *unit) for unit in units}
        return cls({unit: path for unit, path in paths.items() if path.is_file()})

    def read(self) -> "Vectors":
        """The same, in memory."""
        return Vectors(dict(self))

    def __getitem__(self, unit: Unit) -> "TaskVector":
        from icl_vectors.vectors.vector import TaskVector

        found = self._vectors[unit]
        return TaskVector.load(found) if isinstance(found, Path) else found

    def __iter__(self) -> Iterator[Unit]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)


@dataclass(frozen=True, repr=False)
class Results:
    """What an experiment found.

    Attributes:
        experiment: its class.
        data: the content of results.json.
        folder: the run's folder, or None.
        failures: (task, seed) of units that could not be run, with the reason.
        vectors: mean θ over the test prompts of each (task, seed) of a sweep.
    """

    experiment: "type[Experiment]"
    data: dict[str, Any]
    folder: Path | None = None
    failures: Mapping[Unit, str] = field(default_factory=dict)
    vectors: "Mapping[Unit, TaskVector]" = field(default_factory=dict)

    @classmethod
    def of_run(
        cls,
        experiment: "type[Experiment]",
        data: dict[str, Any],
        path: Path,
        kept: bool,
        failures: Mapping[Unit, str],
    ) -> "Results":
        """What is in a run's folder; of one that is not kept the vectors are read at once."""
        vectors = Vectors.of_folder(path, data)
        where = path if kept else None
        return cls(experiment, data, where, failures, vectors if kept else vectors.read())

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a measurement; the columns are in docs/results.md."""
        import pandas

        frame = pandas.DataFrame(list(self.experiment.rows(self.data)))
        return frame.astype({"layer": "Int64"}) if "layer" in frame else frame

    def __repr__(self) -> str:
        frame, place = self.to_pandas(), f", folder {self.folder}" if self.folder else ""
        about = f"{self.data['model']} in {self.data['dtype']}"
        failed = f", {len(self.failures)} not run" if self.failures else ""
        return f"<{self.experiment.name} of {about}: {len(frame)} measurements{failed}{place}>"

    def __str__(self) -> str:
        """A short table of what was measured."""
        shown = self._shown()
        return f"{self!r}\n{shown.to_string(index=False, max_rows=30)}"

    def _repr_html_(self) -> str:
        """The same as a table, for a notebook."""
        shown = self._shown()
        return str(shown.to_html(index=False, float_format="{:.2f}".format, max_rows=60))

    def _shown(self) -> "pandas.DataFrame":
        """The rows that are looked at first: those of test, where there are splits."""
        frame = self.to_pandas()
        return frame[frame["split"] == "test"] if "split" in frame else frame
