"""The claims, tables and figures of a run, out of its sections."""

from dataclasses import replace
from typing import Any

import pytest

from icl_vectors.report import write
from icl_vectors.report.drawing import Drawing, Picture, render
from icl_vectors.report.section import Claim, claims_table
from icl_vectors.report.table import Table
from icl_vectors.report.write import sections_of
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import TaskResult


def task_result(entry: Any) -> TaskResult:
    return TaskResult.model_validate(entry)


def claims_of(run: Run) -> list[Claim]:
    return [claim for section in sections_of(run) for claim in section.claims]


def tables_of(run: Run) -> list[Table]:
    tables = [table for section in sections_of(run) for table in section.tables]
    return [claims_table(claims_of(run)), *tables]


def figures_of(run: Run) -> list[Drawing]:
    return [drawing for section in sections_of(run) for drawing in section.figures]


DRAWN: dict[str, Picture] = {}


def draw_once(patch: pytest.MonkeyPatch) -> None:
    """For tests that look at no figure: one of a name is drawn once a session."""

    def drawn(drawing: Drawing) -> Picture:
        if drawing.name not in DRAWN:
            DRAWN[drawing.name] = render(drawing)
        told = {name: getattr(drawing, name) for name in ("title", "caption", "alternative")}
        return replace(DRAWN[drawing.name], **told)

    patch.setattr(write, "render", drawn)
