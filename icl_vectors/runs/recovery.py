"""What a kill or a power cut left in a run's folder: whole units are kept, all else is dropped.

A unit is whole when its `done` record, the lines that it counts and the files that it names are
there. Imports `files`, `validation` and `errors` alone.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.errors import RunError
from icl_vectors.runs.files import (
    each_line,
    is_blank,
    read_lines,
    remove_partials,
    to_json,
    write_whole,
)
from icl_vectors.runs.validation import (
    require_plain,
    require_records,
    require_run,
    require_schema,
    unit_of,
)

RUN, COPY = "run.json", ".run.json"
RECORDS = "records.jsonl"
COUNTED = {"prompts.jsonl": "prompts", "samples.jsonl": "samples"}  # file: key of a done record
NAMES = (RUN, RECORDS, *COUNTED, "results.json")

Record = dict[str, Any]
Unit = tuple[str, int]  # task, seed
Tally = dict[Unit, tuple[int, int]]  # lines, bytes


def lines_of_sweep(path: Path) -> list[Any]:
    """The prompts or samples of a folder's sweep, without those of other experiments beside it.

    Raises:
        RunError: a line before the last is damaged.
    """
    return [line for line in read_lines(path) if "unit" not in line and ":" not in line["task"]]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run's folder.

    Raises:
        RunError: the file is damaged.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: expected JSON, found {error}; choose another folder.") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: expected a JSON object; choose another folder.")
    return value


def read_records(folder: Path) -> list[Record]:
    """The records of a run, without the line of a writer that was killed.

    Raises:
        RunError: a line is damaged.
    """
    return require_records(folder / RECORDS, read_lines(folder / RECORDS))


def read_configuration(folder: Path) -> dict[str, Any] | None:
    """run.json, or its copy where it is damaged; None in a folder where nothing was begun.

    Raises:
        RunError: neither can be read, and there are units that one of them describes.
        IclVectorsError: a newer version wrote it.
    """
    damage = None
    files = [folder / name for name in (RUN, COPY) if (folder / name).is_file()]
    for file in files:
        try:
            return require_run(file, read_json(file))
        except RunError as error:
            damage = damage or error
    if damage is None or (all(map(is_blank, files)) and not read_records(folder)):
        return None
    raise damage


def read_results(folder: Path) -> dict[str, Any]:
    """results.json; empty where it is missing or damaged: each experiment writes its part anew.

    Raises:
        IclVectorsError: a newer version wrote it.
    """
    path = folder / "results.json"
    try:
        found = read_json(path)
        require_plain(path, found)
    except RunError:
        return {}
    require_schema(path, found)
    return found


def foreign_files(folder: Path) -> list[str]:
    """Files that no run left there, by name; what a run left blank does not count."""
    return sorted(
        file.name
        for file in folder.iterdir()
        if not file.name.startswith(".")
        and not (file.name in NAMES and file.is_file() and is_blank(file))
    )


def keep_whole_units(folder: Path) -> list[Record]:
    """Drop the lines of units that are not whole, and their records; returns those that are left.

    What killed writers left half-written goes too.
    """
    for place in (folder, *(folder / name for name in ("vectors", "thetas", "figures", "tables"))):
        remove_partials(place)
    records = read_records(folder)
    tallies = {name: _tally(folder / name) for name in COUNTED}
    lost = _units_without_lines(tallies, records)
    kept = [
        record
        for record in records
        if record["event"] != "done"
        or (_unit(record) not in lost and _files_are_there(folder, record))
    ]
    content = "".join(to_json(record) + "\n" for record in kept).encode()
    if (folder / RECORDS).is_file() and (folder / RECORDS).read_bytes() != content:
        write_whole(folder / RECORDS, content)
    wanted = {_unit(one) for one in kept if one["event"] == "done" and one.get("samples")}
    for name, tally in tallies.items():
        _keep_lines(folder / name, tally, wanted)
    return kept


def _tally(path: Path) -> Tally:
    """Lines and bytes of each unit in a file; a torn last line belongs to none."""
    tally: Tally = {}
    for line, value in each_line(path):
        unit = unit_of(path, value)
        lines, size = tally.get(unit, (0, 0))
        tally[unit] = lines + 1, size + len(line)
    return tally


def _units_without_lines(tallies: Mapping[str, Tally], records: Sequence[Record]) -> set[Unit]:
    """Units that are recorded as done with another number of lines than is there."""
    done = [one for one in records if one["event"] == "done" and one.get("samples")]
    lost = set()
    for name, key in COUNTED.items():
        stated: Counter[Unit] = Counter()
        for record in done:
            stated[_unit(record)] += record.get(key, 0)
        known = {_unit(record) for record in done if key in record}
        lost |= {unit for unit in known if tallies[name].get(unit, (0, 0))[0] != stated[unit]}
    return lost


def _files_are_there(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether the files that a unit wrote have the sizes that its record states."""
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == size
        for name, size in record.get("files", {}).items()
    )


def _unit(record: Mapping[str, Any]) -> Unit:
    return record["task"], record["seed"]


def _keep_lines(path: Path, tally: Tally, wanted: set[Unit]) -> None:
    """Rewrite a file without other units' lines and without a torn one, if it has any."""
    size = sum(size for unit, (_, size) in tally.items() if unit in wanted)
    if path.is_file() and path.stat().st_size != size:
        lines = (line for line, value in each_line(path) if unit_of(path, value) in wanted)
        write_whole(path, lines)
