"""A run's folder: its configuration, its records, its samples; finished units are never lost.

A unit is one task with one seed in one experiment. Its `done` record holds its result and is
written last, so that whatever stands in the folder without one is dropped on resume.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.files import append_lines, read_lines, to_json, write_json, write_whole
from icl_vectors.prompts import Prompt
from icl_vectors.run_shapes import (
    SCHEMA,
    require_plain,
    require_records,
    require_run,
    require_schema,
    unit_of,
)

Unit = tuple[str, int]  # task, seed


class RunFolder:
    """One run on disk, opened for writing by one process at a time.

    Args:
        identity: what all experiments in the folder share (model, template).
        configuration: what decides the results of this experiment.
        provenance: what does not decide them (versions, device, argv).

    Raises:
        IclVectorsError: the folder belongs to another configuration, or is in use.
    """

    def __init__(
        self,
        path: str | Path,
        experiment: str,
        *,
        identity: Mapping[str, Any],
        configuration: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> None:
        self.path = Path(path)
        self.experiment = experiment
        self._make()
        self._lock = FileLock(self.path / ".lock")
        self._acquire()
        try:
            self._run = self._agreed(identity, configuration)
            self._run.update(provenance)
            self.done = self._load_done()
            self._drop_unfinished()
            self._write_run()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def submitted(self, unit: Unit, **details: Any) -> None:
        self._record("submitted", unit, details)

    def jobs_of(self, unit: Unit) -> dict[str, str]:
        """Ids of the jobs that a unit which is not done sent before, by part of the unit."""
        jobs: dict[str, str] = {}
        for record in read_records(self.path):
            if record["experiment"] != self.experiment or "part" not in record:
                continue
            if (record["task"], record["seed"]) == unit:
                jobs[record["part"]] = record.get("job", "")
        return {part: job for part, job in jobs.items() if job}

    def dismissed(self, unit: Unit, part: str) -> None:
        """The last job of a part of the unit gave nothing that can be used."""
        self._record("dismissed", unit, {"part": part})

    def failed(self, unit: Unit, error: str) -> None:
        self._record("failed", unit, {"error": error})

    def finish(
        self,
        unit: Unit,
        result: Mapping[str, Any],
        *,
        prompts: Iterable[Prompt] = (),
        samples: Iterable[Mapping[str, Any]] = (),
        **details: Any,
    ) -> None:
        """Keep what a unit gave; the record that it is done comes last."""
        lines = list(samples)
        asked = [{**asdict(prompt), "unit": unit[0]} for prompt in prompts]
        for line in asked:
            if line["task"] == unit[0]:
                del line["unit"]
        append_lines(self.path / "prompts.jsonl", asked)
        append_lines(self.path / "samples.jsonl", lines)
        self._record("done", unit, {**details, "samples": len(lines), "result": result})
        self.done[unit] = dict(result)
        self._seconds += details.get("seconds", 0.0)

    def vector_path(self, task: str, seed: int) -> Path:
        folder = self.path / "vectors"
        folder.mkdir(exist_ok=True)
        return folder / f"{task}.seed{seed}.safetensors"

    def write_results(self, part: Mapping[str, Any], *, peak_memory: int = 0) -> dict[str, Any]:
        """Add this experiment's part to results.json; returns the whole."""
        path = self.path / "results.json"
        before = read_json(path) if path.is_file() else {"schema": SCHEMA}
        require_schema(path, before)
        require_plain(path, before)
        whole = {**before, **part}
        write_json(path, whole)
        entry = self._run["experiments"][self.experiment]
        entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        entry["seconds"] = round(self._seconds, 2)
        entry["peak_memory_bytes"] = max(peak_memory, entry.get("peak_memory_bytes", 0))
        self._write_run()
        return whole

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IclVectorsError(
                f"--output {self.path}: cannot be made ({error.strerror}); "
                "give a folder that can be written."
            ) from error

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise IclVectorsError(
                f"--output {self.path}: another process is writing there; "
                "wait for it or choose another folder."
            ) from error
        except OSError as error:
            raise IclVectorsError(
                f"--output {self.path}: cannot be written ({error.strerror}); "
                "give a folder that can be written."
            ) from error

    def _agreed(
        self, identity: Mapping[str, Any], configuration: Mapping[str, Any]
    ) -> dict[str, Any]:
        """run.json with this experiment in it, if what it held before agrees."""
        identity, configuration = _plain(identity), _plain(configuration)
        path = self.path / "run.json"
        if not path.is_file():
            self._refuse_foreign()
            run: dict[str, Any] = {"schema": SCHEMA, **identity, "experiments": {}}
        else:
            run = require_run(path, read_json(path))
            before = run.get("experiments", {}).get(self.experiment, {}).get("configuration")
            _require_same(self.path, {key: run.get(key) for key in identity}, identity)
            if before is not None:
                _require_same(self.path, before, configuration)
        if (results := self.path / "results.json").is_file():
            require_schema(results, read_json(results))
        entry = run["experiments"].setdefault(self.experiment, {})
        entry.setdefault("started", datetime.now(UTC).isoformat(timespec="seconds"))
        entry["configuration"] = configuration
        return run

    def _refuse_foreign(self) -> None:
        found = sorted(file.name for file in self.path.iterdir() if not file.name.startswith("."))
        if found:
            raise IclVectorsError(
                f"--output {self.path}: expected a new folder or that of a run, found "
                f"{', '.join(found[:3])} and no run.json; choose another folder."
            )

    def _load_done(self) -> dict[Unit, dict[str, Any]]:
        finished = [
            record
            for record in read_records(self.path)
            if record["event"] == "done" and record["experiment"] == self.experiment
        ]
        self._seconds = sum(record.get("seconds", 0.0) for record in finished)
        return {(record["task"], record["seed"]): record["result"] for record in finished}

    def _drop_unfinished(self) -> None:
        """Forget lines of units that did not finish, and torn lines."""
        records = read_records(self.path)
        finished = {
            (record["task"], record["seed"])
            for record in records
            if record["event"] == "done" and record.get("samples")
        }
        _rewrite(self.path / "records.jsonl", records)
        for name in ("prompts.jsonl", "samples.jsonl"):
            lines = read_lines(self.path / name)
            kept = [line for line in lines if unit_of(self.path / name, line) in finished]
            _rewrite(self.path / name, kept)

    def _record(self, event: str, unit: Unit, details: Mapping[str, Any]) -> None:
        record = {"event": event, "experiment": self.experiment, "task": unit[0], "seed": unit[1]}
        append_lines(self.path / "records.jsonl", [{**record, **details}])

    def _write_run(self) -> None:
        write_json(self.path / "run.json", self._run)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a run, without the line of a writer that was killed."""
    file = path / "records.jsonl"
    return require_records(file, read_lines(file))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run's folder.

    Raises:
        RunError: the file is damaged.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: expected JSON, found {error}; choose another folder.") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: expected a JSON object; choose another folder.")
    return value


def _rewrite(path: Path, values: Sequence[Any]) -> None:
    content = "".join(to_json(value) + "\n" for value in values).encode()
    if path.is_file() and path.read_bytes() != content:
        write_whole(path, content)


def _require_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = [key for key in now if before.get(key) != now[key]]
    if not differing:
        return
    shown = "; ".join(_difference(key, before.get(key), now[key]) for key in differing)
    raise IclVectorsError(
        f"--output {path}: holds a run of another configuration ({shown}); "
        "choose another folder, or the same options."
    )


def _difference(key: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        shown = ", ".join(f"{name} {before.get(name)} → {now.get(name)}" for name in names[:3])
        return f"{key}: {shown}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{key}: {before} → {now}"


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(to_json(value)))
