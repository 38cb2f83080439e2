"""Where the runs of one command are kept: a folder for each model and dtype, named before any runs.

A local model is named for its resolved folder, so that `tiny`, `./tiny` and `.` are one model.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from icl_vectors.errors import IclVectorsError
from icl_vectors.runs.folder import require_free


@dataclass(frozen=True)
class RunFolders:
    """The folders of a command.

    Attributes:
        output: what --output says, or None: runs/MODEL-DTYPE-COMMAND.
        names: the name of each model, by its reference; no two are alike.
        several: whether there is more than one run, so that each has a folder below `output`.
    """

    output: Path | None
    names: dict[str, str]
    command: str
    several: bool

    @classmethod
    def plan(
        cls,
        output: Path | None,
        models: Iterable[str],
        dtypes: list[str],
        command: str,
        revision: str | None = None,
    ) -> "RunFolders":
        """The folders of some models and dtypes, a model that is given twice once.

        Raises:
            IclVectorsError: another process writes to one of them, or `output` is that of a run.
        """
        names = _names(models, revision)
        planned = cls(output, names, command, len(names) * len(dtypes) > 1)
        for reference in names:
            for dtype in dtypes:
                if dtype != "auto" or (output and not planned.several):  # else the model tells it
                    require_free(planned.of(reference, dtype))
        return planned

    def of(self, reference: str, dtype: str) -> Path:
        """DIR, DIR/MODEL-DTYPE for several, or runs/MODEL-DTYPE-COMMAND."""
        name = self.names[reference]
        if self.output is None:
            return Path("runs") / f"{name}-{dtype}-{self.command}"
        if self.several and (self.output / "run.json").is_file():
            raise IclVectorsError(
                f"--output {self.output}: expected a folder for several runs, found that of a "
                "single one; choose another folder."
            )
        return self.output / f"{name}-{dtype}" if self.several else self.output

    def of_precisions(self, reference: str) -> Path:
        """DIR where one model is swept, else DIR/MODEL-precision; without DIR, under runs."""
        name = f"{self.names[reference]}-precision"
        if self.output is None:
            return Path("runs") / name
        return self.output if len(self.names) == 1 else self.output / name


def _names(models: Iterable[str], revision: str | None) -> dict[str, str]:
    """A name for each model; folders of one name are told apart by what is above them."""
    folders = {reference: Path(reference).expanduser() for reference in models}
    paths = {one: path.resolve() if path.is_dir() else one for one, path in folders.items()}
    first = {path: reference for reference, path in reversed(paths.items())}
    kept = [reference for reference, path in paths.items() if first[path] == reference]
    names, depth = {one: _name(paths[one], 1, revision) for one in kept}, 1
    while alike := {name for name, count in Counter(names.values()).items() if count > 1}:
        depth += 1
        names |= {one: _name(paths[one], depth, revision) for one in kept if names[one] in alike}
    return names


def _name(path: Path | str, depth: int, revision: str | None) -> str:
    if isinstance(path, str):
        at = f"@{revision}".replace("/", "--") if revision else ""
        return path.replace("/", "--") + at + "_" * (depth - 1)  # beside a folder of that name
    return "--".join(part for part in path.parts[-depth:] if part != path.anchor) or "model"
