"""A run's folder: its configuration, its records, its samples; finished units are never lost.

A unit is one task with one seed in one experiment. Its `done` record holds its result and is
written last, so that whatever stands in the folder without one is dropped on resume
(`recovery.py`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.runs.files import append_lines, to_json, write_json
from icl_vectors.runs.recovery import (
    COPY,
    RUN,
    Record,
    Unit,
    foreign_files,
    keep_whole_units,
    read_configuration,
    read_json,
    read_records,
    read_results,
)
from icl_vectors.runs.schema import SCHEMA

__all__ = ["RunFolder", "Unit", "read_json", "read_records", "read_results", "require_free"]

LOCK = ".lock"
PATIENCE = 0.5  # seconds; another process may be asking whether the lock is free
# Of a model; none decides a result.
REMARKS = ("reference", "revision", "weights", "from_folder", "base")
NAMED = ("reference", "fingerprint")  # where both differ it is another model: the name says all


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
        self._lock = FileLock(self.path / LOCK)
        self._acquire()
        try:
            self._run = self._agreed(identity, configuration)
            self._run.update(provenance)
            self._load(keep_whole_units(self.path))
            write_json(self.path / RUN, self._run)
            write_json(self.path / COPY, self._run)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def submitted(self, unit: Unit, **details: Any) -> None:
        self._note_job(unit, self._record("submitted", unit, details))

    def jobs_of(self, unit: Unit) -> dict[str, str]:
        """Ids of the jobs that a unit which is not done sent before, by part of the unit."""
        return {part: job for part, job in self._jobs.get(unit, {}).items() if job}

    def dismissed(self, unit: Unit, part: str) -> None:
        """The last job of a part of the unit gave nothing that can be used."""
        self._note_job(unit, self._record("dismissed", unit, {"part": part}))

    def failed(self, unit: Unit, error: str) -> None:
        self._record("failed", unit, {"error": error})

    def finish(
        self,
        unit: Unit,
        result: Mapping[str, Any],
        *,
        prompts: Iterable[Prompt] = (),
        samples: Iterable[Mapping[str, Any]] = (),
        files: Iterable[Path] = (),
        **details: Any,
    ) -> None:
        """Keep what a unit gave; the record that it is done comes last.

        Args:
            files: what it wrote by itself; without one of them the unit is run again.
        """
        asked, answered = [_line(prompt, unit[0]) for prompt in prompts], list(samples)
        append_lines(self.path / "prompts.jsonl", asked)
        append_lines(self.path / "samples.jsonl", answered)
        sizes = {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}
        counts = {"prompts": len(asked), "samples": len(answered), "files": sizes}
        self._record("done", unit, {**details, **counts, "result": result})
        self.done[unit] = dict(result)
        self._seconds += details.get("seconds", 0.0)

    def vector_path(self, task: str, seed: int) -> Path:
        path = vector_file(self.path, task, seed)
        path.parent.mkdir(exist_ok=True)
        return path

    def write_results(self, part: Mapping[str, Any], *, peak_memory: int = 0) -> dict[str, Any]:
        """Add this experiment's part to results.json; returns the whole."""
        whole = {"schema": SCHEMA, **read_results(self.path), **part}
        write_json(self.path / "results.json", whole)
        entry = self._run["experiments"][self.experiment]
        entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        entry["seconds"] = round(self._seconds, 2)
        entry["peak_memory_bytes"] = max(peak_memory, entry.get("peak_memory_bytes", 0))
        write_json(self.path / RUN, self._run)
        return whole

    def _acquire(self) -> None:
        fault = "made"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            fault = "written"
            self._lock.acquire(timeout=PATIENCE, poll_interval=0.02)
        except Timeout as error:
            raise _is_busy(self.path) from error
        except OSError as error:
            raise IclVectorsError(
                f"--output {self.path}: cannot be {fault} ({error.strerror}); "
                "give a folder that can be written."
            ) from error

    def _agreed(
        self, identity: Mapping[str, Any], configuration: Mapping[str, Any]
    ) -> dict[str, Any]:
        """run.json with this experiment in it, if what it held before agrees."""
        identity, configuration = _plain(identity), _plain(configuration)
        run = read_configuration(self.path)
        if run is None:
            if found := foreign_files(self.path):
                raise IclVectorsError(
                    f"--output {self.path}: expected a new folder or that of a run, found "
                    f"{', '.join(found[:3])} and no run.json; choose another folder."
                )
            run = {"schema": SCHEMA, **identity, "experiments": {}}
        else:
            before = run.get("experiments", {}).get(self.experiment, {}).get("configuration")
            held = {key: run.get(key) for key in identity}
            _require_same(self.path, held, identity)
            if before is not None:
                _require_same(self.path, before, configuration)
        read_results(self.path)  # refuses those of a newer version
        entry = run["experiments"].setdefault(self.experiment, {})
        entry.setdefault("started", datetime.now(UTC).isoformat(timespec="seconds"))
        entry["configuration"] = configuration
        return run

    def _load(self, records: Iterable[Record]) -> None:
        """What is finished, and which jobs were sent for what is not."""
        self.done: dict[Unit, dict[str, Any]] = {}
        self._jobs: dict[Unit, dict[str, str]] = {}
        self._seconds = 0.0
        for record in records:
            if record["experiment"] != self.experiment:
                continue
            unit = record["task"], record["seed"]
            if record["event"] == "done":
                self.done[unit] = record["result"]
                self._seconds += record.get("seconds", 0.0)
            else:
                self._note_job(unit, record)

    def _note_job(self, unit: Unit, record: Record) -> None:
        if "part" in record:
            self._jobs.setdefault(unit, {})[record["part"]] = record.get("job", "")

    def _record(self, event: str, unit: Unit, details: Mapping[str, Any]) -> Record:
        record = {"event": event, "experiment": self.experiment, "task": unit[0], "seed": unit[1]}
        append_lines(self.path / "records.jsonl", [record := {**record, **details}])
        return record


def _line(prompt: Prompt, unit: str) -> dict[str, Any]:
    """A prompt as JSON; no instruction, no key, as in older folders."""
    line = asdict(prompt) | ({} if prompt.task == unit else {"unit": unit})
    return line if prompt.instruction else {key: line[key] for key in line if key != "instruction"}


def vector_file(folder: Path, task: str, seed: int) -> Path:
    """Where a run's folder keeps the mean θ of a task and seed."""
    return folder / "vectors" / f"{task}.seed{seed}.safetensors"


def require_free(path: Path) -> None:
    """Refuse a folder that another process is writing to, before anything long is begun.

    Raises:
        IclVectorsError: it is in use.
    """
    if not (path / LOCK).is_file():
        return
    try:
        FileLock(path / LOCK).acquire(timeout=0).lock.release()
    except Timeout as error:
        raise _is_busy(path) from error
    except OSError:
        return  # what is wrong with the folder is said when it is opened


def _is_busy(path: Path) -> IclVectorsError:
    return IclVectorsError(
        f"--output {path}: another process is writing there; wait for it or choose another folder."
    )


def _that_decides(key: str, value: Any) -> Any:
    """A value without remarks: a model is known by its fingerprint, not by its path."""
    if key != "model" or not isinstance(value, dict):
        return value
    return {name: value[name] for name in value if name not in REMARKS}


def _require_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    decides = _that_decides
    differing = [key for key in now if decides(key, before.get(key)) != decides(key, now[key])]
    if differing:
        shown = "; ".join(_difference(key, before.get(key), now[key]) for key in differing)
        raise IclVectorsError(
            f"--output {path}: holds a run of another configuration ({shown}); "
            "choose another folder, or the same options."
        )


def _difference(key: str, before: Any, now: Any) -> str:
    if not isinstance(before, dict) or not isinstance(now, dict):
        return _change(f"{key}:", before, now)
    if key == "model" and all(before.get(one) != now.get(one) for one in NAMED):
        return _change(f"{key}:", before.get("reference"), now.get("reference"))
    old, new = _that_decides(key, before), _that_decides(key, now)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    shown = ", ".join(_change(name, old.get(name), new.get(name)) for name in names[:3])
    return f"{key}: {shown}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _change(name: str, before: Any, now: Any) -> str:
    shown = ("not set" if value is None else str(value) for value in (before, now))
    return f"{name} {' → '.join(shown)}"


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(to_json(value)))
