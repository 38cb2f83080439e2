"""Task vectors of in-context learning: extract them, inject them, study them, on nnsight.

`extract` is A(S), what the demonstrations teach; `apply` is f(x; θ), the rule applied without
them ("In-Context Learning Creates Task Vectors", Hendel et al. 2023, arXiv 2310.15916).
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from icl_vectors.discovery import experiment_names
from icl_vectors.version import VERSION as __version__

if TYPE_CHECKING:
    from icl_vectors.engine.check import Check, Checks, check
    from icl_vectors.engine.results import Results
    from icl_vectors.errors import IclVectorsError
    from icl_vectors.experiments.cluster import cluster
    from icl_vectors.experiments.compare import compare
    from icl_vectors.experiments.conflict import conflict
    from icl_vectors.experiments.sweep import sweep
    from icl_vectors.experiments.vocabulary import vocabulary
    from icl_vectors.methods.method import Method
    from icl_vectors.methods.registry import register_method
    from icl_vectors.models.load import Model, load_model
    from icl_vectors.runs.predictions import predictions
    from icl_vectors.tasks.task import Task, list_tasks, load_task
    from icl_vectors.vectors.apply import Answers, apply
    from icl_vectors.vectors.by_layer import apply_by_layer
    from icl_vectors.vectors.extract import extract
    from icl_vectors.vectors.share import share
    from icl_vectors.vectors.vector import TaskVector
    from icl_vectors.vectors.words import words

__all__ = [
    "Answers",
    "Check",
    "Checks",
    "IclVectorsError",
    "Method",
    "Model",
    "Results",
    "Task",
    "TaskVector",
    "__version__",
    "apply",
    "apply_by_layer",
    "check",
    "cluster",
    "compare",
    "conflict",
    "extract",
    "list_tasks",
    "load_model",
    "load_task",
    "predictions",
    "register_method",
    "share",
    "sweep",
    "vocabulary",
    "words",
]

_HOMES = {
    "Answers": "icl_vectors.vectors.apply",
    "Check": "icl_vectors.engine.check",
    "Checks": "icl_vectors.engine.check",
    "IclVectorsError": "icl_vectors.errors",
    "Model": "icl_vectors.models.load",
    "Results": "icl_vectors.engine.results",
    "Task": "icl_vectors.tasks.task",
    "TaskVector": "icl_vectors.vectors.vector",
    "apply": "icl_vectors.vectors.apply",
    "apply_by_layer": "icl_vectors.vectors.by_layer",
    "check": "icl_vectors.engine.check",
    "extract": "icl_vectors.vectors.extract",
    "list_tasks": "icl_vectors.tasks.task",
    "load_model": "icl_vectors.models.load",
    "load_task": "icl_vectors.tasks.task",
    "Method": "icl_vectors.methods.method",
    "predictions": "icl_vectors.runs.predictions",
    "register_method": "icl_vectors.methods.registry",
    "share": "icl_vectors.vectors.share",
    "words": "icl_vectors.vectors.words",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use: `import icl_vectors` alone takes no second."""
    home = _HOMES.get(name)
    if home is None and name in experiment_names():
        home = f"icl_vectors.experiments.{name}"
    if home is None:
        raise AttributeError(f"module 'icl_vectors' has no attribute {name!r}")
    with warnings.catch_warnings():  # tqdm's, of a notebook without ipywidgets
        warnings.filterwarnings("ignore", "IProgress not found")
        return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *experiment_names()})
