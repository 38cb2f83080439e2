"""The schema of run.json, records.jsonl and results.json: asked, done, and found."""

from typing import Any, Literal

from pydantic import Field, StrictInt, model_validator

from icl_vectors.runs.schema import (
    Cluster,
    Compared,
    Conflict,
    Count,
    MethodSummary,
    Model,
    Number,
    TaskResult,
    Text,
    Vocabulary,
)


class ExperimentOfRun(Model):
    """One experiment in run.json: its configuration, times and peak memory."""

    configuration: dict[str, Any] = {}
    started: Text | None = None
    finished: Text | None = None
    seconds: Number = 0.0
    peak_memory_bytes: Number = 0


class RunFile(Model):
    """run.json: the configuration of each experiment, and where the results come from."""

    schema_: Literal[1] = Field(1, alias="schema")
    model: dict[str, Any] = {}
    template: Text = ""
    turn: tuple[Text, Text, Text] | None = None
    experiments: dict[str, ExperimentOfRun] = {}
    versions: dict[str, Any] = {}
    device: Text | None = None
    host: Text | None = None


class Record(Model):
    """A line of records.jsonl: what became of a unit.

    Attributes:
        files: what the unit wrote by itself, with its size in bytes.
    """

    event: Text
    experiment: Text
    task: Text
    seed: StrictInt
    part: Text = ""
    job: Text = ""
    result: dict[str, Any] | None = None
    seconds: Number = 0.0
    prompts: StrictInt = 0
    samples: StrictInt = 0
    files: dict[str, StrictInt] = {}

    @model_validator(mode="after")
    def _has_a_result(self) -> "Record":
        if self.event == "done" and self.result is None:
            raise ValueError("a unit that is done has a result")
        return self


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
