"""Readers against bytes that nobody meant: random ones, and mutations of valid files.

    python -m tests.benchmarks.fuzz --cases 100000

Only IclVectorsError (and, of a run's folder, its subclass RunError) may come out of a reader.
"""

import argparse
import json
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.from_sweep import best_layer_of_mean
from icl_vectors.models.meta import meta_model
from icl_vectors.models.source import read_config
from icl_vectors.report.table import to_latex, to_markdown
from icl_vectors.runs.files import to_json
from icl_vectors.runs.folder import RunFolder, read_records, read_results
from icl_vectors.runs.ranking import read_ranking
from icl_vectors.runs.reading import read_run
from icl_vectors.runs.validation import require_entries
from icl_vectors.tasks.task import Task
from icl_vectors.vectors.vector import TaskVector
from tests.report.compared import compared
from tests.report.folders import about, results, write_folder
from tests.report.parts import tables_of

ODD: list[Any] = [None, True, -1, 0, 10**30, 1e308, 1.5, "", "x", "\ud800", "\x1b[31m", "../x",
                  [], {}, [[]], {"a": 1}, float("nan"), float("inf"), "9" * 50]  # fmt: skip
IDENTITY: dict[str, Any] = {"model": about()["model"], "template": about()["template"]}


class Reader(NamedTuple):
    """What reads a file, valid examples of it, and how many of a hundred cases it gets."""

    read: Callable[[Path], object]
    valid: list[bytes]
    file: str
    share: int


def readers(place: Path) -> dict[str, Reader]:
    """Every reader of what others wrote, in a folder of its own."""
    tasks = {"a": "b", "c": ["d", "e"], "Ünï": "→"}
    rows = [{"input": key, "output": value} for key, value in tasks.items()]
    as_json = [json.dumps(one, ensure_ascii=False).encode() for one in (tasks, rows)]
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    table = b'input,output\na,b\n"c,d",e\nf,"[""g"", ""h""]"\n'
    vector = _vector(place)
    found = {
        "task.json": Reader(Task.from_file, as_json, "task.json", 14),
        "task.jsonl": Reader(Task.from_file, [lines], "task.jsonl", 14),
        "task.csv": Reader(Task.from_file, [table], "task.csv", 14),
        "task.tsv": Reader(Task.from_file, [table.replace(b",", b"\t")], "task.tsv", 8),
        "vector": Reader(TaskVector.load, [vector], "theta.safetensors", 12),
        "heads.json": Reader(_read_heads, [HEADS], "heads.json", 3),
        "config.json": Reader(_open_config, [json.dumps(CONFIG).encode()], "config.json", 5),
    }
    folder = write_folder(place / "run", _small_results())
    for name in ("run.json", "results.json", "records.jsonl", "samples.jsonl", "prompts.jsonl"):
        valid = [(folder / name).read_bytes()]
        found[f"{name}, reported"] = Reader(_report, valid, f"run/{name}", 3)
        found[f"{name}, resumed"] = Reader(_resume, valid, f"run/{name}", 3)
    return found


CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8,
    "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 9,
    "num_key_value_heads": 2, "torch_dtype": "float32", "max_position_embeddings": 64,
    "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1,
}  # fmt: skip


HEADS = (
    b'{"ranked": [{"layer": 1, "head": 0, "effect": 0.5}, {"layer": 2, "head": 3, "effect": -1}]}'
)


def run_cases(name: str, reader: Reader, place: Path, count: int, seed: int = 0) -> Counter[str]:
    """Read `count` inputs; anything but an IclVectorsError comes out with the input's number."""
    outcomes: Counter[str] = Counter()
    target = place / reader.file
    before = target.read_bytes() if target.is_file() else None
    for number, content in enumerate(inputs(reader.valid, count, f"{seed}:{name}")):
        target.write_bytes(content)
        try:
            reader.read(target)
            outcomes["read"] += 1
        except IclVectorsError:
            outcomes["refused"] += 1
        except Exception as error:
            kept = Path(tempfile.gettempdir()) / f"fuzz-{target.name}"
            kept.write_bytes(content)
            raise AssertionError(
                f"{name}, input {number} (seed {seed}, kept as {kept}): {error!r}"
            ) from error
    if before is not None:
        target.write_bytes(before)
    return outcomes


def inputs(valid: list[bytes], count: int, seed: str) -> Iterator[bytes]:
    """A third random bytes, a third mutated bytes, a third mutated values, by the seed."""
    draw = random.Random(seed)
    for number in range(count):
        example = draw.choice(valid)
        if number % 3 == 0:
            yield draw.randbytes(draw.choice((0, 1, 7, 8, 64, 900)))
        elif number % 3 == 1:
            yield _mutated_bytes(example, draw)
        else:
            yield _mutated_values(example, draw)


def _mutated_bytes(content: bytes, draw: random.Random) -> bytes:
    mutable = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        start, end = sorted(draw.randrange(len(mutable) + 1) for _ in "ab")
        way = draw.randrange(4)
        if way == 0 and mutable:
            mutable[draw.randrange(len(mutable))] = draw.randrange(256)
        elif way == 1:
            del mutable[start:end]
        elif way == 2:
            mutable[start:start] = draw.randbytes(draw.randrange(1, 9))
        else:
            mutable[start:start] = mutable[start:end]
    return bytes(mutable)


def _mutated_values(content: bytes, draw: random.Random) -> bytes:
    """JSON or JSON lines with a value replaced, removed or repeated; other files: bytes."""
    lines = content.split(b"\n") if content.count(b"\n{") else [content]
    place = draw.randrange(len(lines))
    try:
        value = json.loads(lines[place])
    except ValueError:
        return _mutated_bytes(content, draw)
    for _ in range(draw.choice((1, 1, 3))):
        value = _with_odd_value(value, draw)
    lines[place] = json.dumps(value).encode()
    return b"\n".join(lines)


def _with_odd_value(value: Any, draw: random.Random) -> Any:
    if draw.random() < 0.25 or not isinstance(value, dict | list) or not value:
        return draw.choice(ODD)
    changed = value.copy()
    if isinstance(changed, list):
        place = draw.randrange(len(changed))
        changed[place] = _with_odd_value(changed[place], draw)
        return changed
    key = draw.choice(sorted(changed))
    if draw.random() < 0.2:
        del changed[key]
    else:
        changed[key] = _with_odd_value(changed[key], draw)
    return changed


def _report(path: Path) -> object:
    run = read_run(path.parent)
    return [(to_markdown(table).encode(), to_latex(table).encode()) for table in tables_of(run)]


def _resume(path: Path) -> object:
    """What an experiment does in a folder that is there: in a copy, as it writes."""
    copy = path.parent.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path.parent, copy)
    configuration = about()["experiments"]["sweep"]["configuration"]
    options: dict[str, Any] = {"identity": IDENTITY, "configuration": configuration}
    with RunFolder(copy, "sweep", provenance={}, **options) as folder:
        folder.jobs_of(("fr_en", 41))
        since = [one["result"] for one in read_records(copy) if one["event"] == "done"]
        entries = [
            *require_entries(copy / "records.jsonl", {"tasks": since}),
            *require_entries(copy / "results.json", read_results(copy)),
        ]
        best = best_layer_of_mean({entry["task"]: entry for entry in entries}) if entries else None
        folder.write_results({"tasks": list(folder.done.values())})
        return best


def _read_heads(path: Path) -> object:
    return to_json(read_ranking(path, n_layers=4, n_heads=4))


def _open_config(path: Path) -> object:
    return meta_model(read_config("fuzzed", str(path.parent), {"trust_remote_code": False}))


def _small_results() -> dict[str, Any]:
    whole, hits = results(), {"regular": (45,), "zero-shot": (2,), "state": (40,)}
    return {**whole, "tasks": whole["tasks"][:3], **compared(hits, ("user",))}


def _vector(place: Path) -> bytes:
    import torch

    theta = TaskVector(
        vectors=torch.arange(12.0).view(3, 4), layers=(0, 1, 2), model="m", fingerprint="f",
        dtype="float32", template="{input}→{output}", demonstrations=(("a", "b"),), dummies=("c",),
    )  # fmt: skip
    return theta.save(place / "theta.safetensors").read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="readers whose names hold this")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    place = Path(tempfile.mkdtemp(prefix="fuzz-"))
    total = 0
    for name, reader in readers(place).items():
        if options.only not in name:
            continue
        start, count = perf_counter(), options.cases * reader.share // 100
        outcomes = run_cases(name, reader, place, count, options.seed)
        total += count
        seconds = perf_counter() - start
        print(f"{name:<24}{count:>8}  read {outcomes['read']:>6}  refused {outcomes['refused']:>6}"
              f"  {seconds:>6.0f} s", flush=True)  # fmt: skip
    print(f"{'all':<24}{total:>8}  nothing but IclVectorsError came out")
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
