"""Each experiment, run once on the tiny Llama for all tests that only read it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl

SMALL: dict[str, Any] = {"dev": 4, "test": 6, "shots": 3}
ASKED: dict[str, dict[str, Any]] = {
    "sweep": {**SMALL, "tasks": "list_first,to_upper,next_letter"},
    "written": {**SMALL, "tasks": "to_upper,country_capital", "answer": "generate"},
    "conflict": {**SMALL, "pairs": "next_letter:to_upper,list_last:list_first"},
    "cluster": {"tasks": "to_upper,list_first,next_letter", "per_task": 5, "shots": 3, "layer": 2},
    "compare": {
        "tasks": "to_upper,letter_case_both", "methods": "state,function", "controls": "random",
        "dev": 3, "test": 4,
    },
    "vocabulary": {"tasks": "to_upper,list_first", "test": 4, "dev": 3, "top": 6},
    "sweep of vocabulary": {"tasks": "to_upper,list_first", "test": 4, "dev": 3},
    "shots": {"tasks": "to_upper,list_first", "test": 4, "dev": 3, "shots": "0,2"},
}  # fmt: skip
SWEEPS = {"written": "sweep", "sweep of vocabulary": "sweep"}
Finished = Callable[[str], Path]


def run(name: str, model: icl.Model, output: Path | None = None, **options: Any) -> icl.Results:
    """An experiment as it is asked for here, but for some options."""
    function: Any = getattr(icl, SWEEPS.get(name, name))
    found: icl.Results = function(model, output=output, **{**ASKED[name], **options})
    return found


@pytest.fixture(scope="session")
def finished(llama: icl.Model, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The folder of an experiment's run, by its name; no test may change it."""

    @cache
    def folder(name: str) -> Path:
        found = run(name, llama, tmp_path_factory.mktemp("finished") / name)
        assert found.folder is not None
        return found.folder

    return folder
