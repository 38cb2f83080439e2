"""Which experiments there are: a module in `experiments/` with one of its name in `report/`.

An experiment appears in the command line, in Python and in the report by being there.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).parent
FIRST = ("sweep", "cluster", "conflict", "vocabulary", "compare", "reproduce")  # then by name


@cache
def experiment_names() -> tuple[str, ...]:
    """The names of the experiments, those of the paper first."""
    here, there = (
        {module.name for module in iter_modules([str(PACKAGE / room)])}
        for room in ("experiments", "report")
    )
    return tuple(sorted(here & there, key=lambda name: ((*FIRST, name).index(name), name)))


def experiment(name: str) -> Any:
    """The class of an experiment: `Sweep` for "sweep"."""
    module = import_module(f"icl_vectors.experiments.{name}")
    return getattr(module, "".join(part.capitalize() for part in name.split("_")))


def report_of(name: str) -> ModuleType:
    """An experiment's part of the report: a module with `sections(run)` and `text(data)`."""
    return import_module(f"icl_vectors.report.{name}")
