"""All of the paper's experiments in the terminal; in the report each has sections of its own."""

from collections.abc import Mapping
from typing import Any

from icl_vectors.report import cluster, conflict, sweep, vocabulary
from icl_vectors.report.section import Section
from icl_vectors.runs.run import Run


def sections(run: Run) -> list[Section]:
    """None of its own."""
    return []


def text(data: Mapping[str, Any]) -> str:
    """All tables, one after the other."""
    parts = {"cluster": cluster, "conflict": conflict, "vocabulary": vocabulary}
    found = [sweep.text(data), *(part.text(data) for key, part in parts.items() if key in data)]
    return "\n\n".join(found)
