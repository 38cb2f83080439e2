"""The parts of a run that are many lines: records, test prompts with answers, places of θ."""

import csv
import json
from collections.abc import Iterator
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from icl_vectors.runs.run import Example, Point
from icl_vectors.runs.schema import Model, Text
from icl_vectors.runs.validation import first_fault

MOST = 2_000  # test prompts that are shown, as many of each task


class _Answer(Model):
    prediction: Text
    correct: bool


class _Shown(Model):
    """A test prompt with what each method answered."""

    task: Text
    query: Text
    answers: tuple[Text, ...]
    answered: dict[str, _Answer]


def read_objects(path: Path, missing: list[str]) -> list[dict[str, Any]]:
    """The JSON objects of a file; a torn last line is nothing to remark on."""
    if not path.is_file():
        return []
    found, faults = [], 0
    for line in filter(bytes.strip, path.read_bytes().split(b"\n")[:-1]):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            found.append(value)
        else:
            faults += 1
    if faults:
        missing.append(f"{path.name}: {faults} damaged line(s) left out")
    return found


def reason_of(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def read_points(path: Path, missing: list[str]) -> list[Point]:
    """Places of all θ; lines that can't be read are left out, which is said."""
    try:
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8"))))
    except (OSError, ValueError, csv.Error) as error:
        missing.append(f"{path.name}: the map of vectors can't be drawn ({reason_of(error)})")
        return []
    found, faults = [], 0
    for row in rows:
        try:
            tsne, pca = ((float(row[f"{k}_x"]), float(row[f"{k}_y"])) for k in ("tsne", "pca"))
            if not all(map(isfinite, (*tsne, *pca))):
                raise ValueError
            about = row["task"], row.get("category") or "user"
            found.append(Point(*about, tsne, pca, row.get("source") or ""))
        except (KeyError, TypeError, ValueError):
            faults += 1
    if faults:
        missing.append(f"{path.name}: {faults} damaged line(s) left out")
    return found


def read_examples(folder: Path, missing: list[str]) -> Iterator[Example]:
    """The test prompts of each task, with what each method answered; the first ones of many."""
    chosen: dict[str, dict[str, Any]] = {}
    seen: dict[Any, int] = {}
    prompts = read_objects(folder / "prompts.jsonl", missing)
    of_sweep = [one for one in prompts if "unit" not in one]  # others only where there is none
    tasks = {str(one.get("task")) for one in of_sweep or prompts}
    for prompt in of_sweep or prompts:
        task = prompt.get("task")
        if prompt.get("split") == "test" and seen.get(str(task), 0) < MOST // len(tasks):
            seen[str(task)] = seen.get(str(task), 0) + 1
            chosen[str(prompt.get("id"))] = prompt
    answers: dict[str, dict[str, Any]] = {}
    for sample in read_objects(folder / "samples.jsonl", missing):
        method = str(sample.get("method"))
        beside = of_sweep and "unit" in sample
        if str(sample.get("id")) in chosen and ":" not in method and not beside:  # no control
            answers.setdefault(str(sample["id"]), {})[method] = sample
    for identity, prompt in chosen.items():
        try:
            found = _Shown.model_validate({**prompt, "answered": answers.get(identity, {})})
        except ValidationError as error:
            missing.append(f"prompts.jsonl: damaged ({first_fault(error)})")
            continue
        predictions = {name: (one.prediction, one.correct) for name, one in found.answered.items()}
        if predictions:
            yield Example(found.task, found.query, found.answers, predictions)
