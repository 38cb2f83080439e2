"""`sweep --dtype A,B,…`: after the sweeps, one comparison and one report of all precisions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from icl_vectors.files import write_json

if TYPE_CHECKING:
    from icl_vectors.experiments.precision import CrossPrecision
    from icl_vectors.models import Model

FILE = "precision.json"


class Comparison:
    """The precisions of one model, collected while their sweeps run.

    Args:
        place: the folder of what all have in common.
        say: is told what takes long.
    """

    def __init__(self, place: Path, say: Callable[[str], None]) -> None:
        self.place = place
        self._say = say
        self.folders: list[Path] = []
        self._dtypes: list[str] = []
        self._cross: CrossPrecision | None = None

    def add(self, model: "Model", folder: Path) -> None:
        """A finished sweep, whose model is still open."""
        from icl_vectors.experiments.precision import CrossPrecision

        if folder in self.folders:
            return
        self.folders.append(folder)
        self._dtypes.append(model.dtype)
        self._cross = self._cross or CrossPrecision(folder)
        self._say(f"Reading θ of each test prompt in {model.dtype} …")
        self._cross.learn(model)

    def finish(self, reopen: Callable[[str], "Model"]) -> bool:
        """θ of each precision in every other; False where there is nothing to compare."""
        if self._cross is None or len(self._dtypes) < 2:
            return False
        from icl_vectors.memory import release

        for dtype in self._dtypes:
            self._say(f"Putting θ of {', '.join(self._dtypes)} into {dtype} …")
            self._cross.inject(reopen(dtype))
            release()
        self.place.mkdir(parents=True, exist_ok=True)
        write_json(self.place / FILE, self._cross.results())
        return True
