"""The schema of results.json: a part for every experiment that was run in the folder."""

from typing import Any, Literal

from pydantic import Field

from icl_vectors.runs.schema import (
    Cluster,
    Compared,
    Conflict,
    Count,
    MethodSummary,
    Model,
    TaskResult,
    Text,
    Vocabulary,
)


class ResultsFile(Model):
    """results.json: the parts of the experiments that were run in the folder."""

    schema_: Literal[1] = Field(1, alias="schema")
    model: Text
    dtype: Text
    n_layers: Count
    tasks: tuple[TaskResult, ...] = ()
    summary: dict[str, Any] = {}
    conflict: tuple[Conflict, ...] = ()
    cluster: Cluster | None = None
    vocabulary: tuple[Vocabulary, ...] = ()
    compare: tuple[Compared, ...] = ()
    compare_summary: tuple[MethodSummary, ...] = ()
    compare_arrows: tuple[Compared, ...] = ()
    compare_shots: tuple[Compared, ...] = ()
