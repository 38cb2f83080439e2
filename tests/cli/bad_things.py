"""What users give by mistake: files, folders, vectors and runs that are not what they should be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import icl_vectors as icl

PAIRS = {letter: letter.upper() for letter in "abcdefghijklm"}
TASK_FILES: dict[str, str | bytes] = {
    "good.csv": "input,output\n" + "".join(f"{a},{b}\n" for a, b in PAIRS.items()),
    "antonyms.json": '{"a": "b"}',
    "open_quote.tsv": 'input\toutput\n"a\tb\n',
    "zeros.csv": b"input,output\na,b\0c\n",
    "escape.json": '{"a\\u001b[31m": "b"}',
    "broken.json": '{"a": ',
    "nan.json": '{"a": NaN}',
    "infinity.json": '[{"input": Infinity, "output": "b"}]',
    "huge.json": '{"a": 1' + "0" * 5000 + "}",
    "deep.json": "[" * 100_000,
    "number.json": "3",
    "contradiction.json": '{"a": "b", "a": "c"}',
    "sheet.xlsx": b"PK\x03\x04",
    "two.csv": "input,output\na,b\nc,d\n",
    'two words\' "quoted".csv': "input,output\na,b\n",
    "line\nbreak.csv": "input,output\na,b\n",
    "\u202etxt.csv": "input,output\na,b\n",
    "n" * 220 + ".csv": "input,output\na,b\n",
    "back\\slash.csv": "input,output\na,b\n",
}


HEAD = '{"ranked": [{"layer": %s, "head": 0, "effect": %s}]}'
RANKINGS: dict[str, str | bytes] = {
    "no_heads.json": '{"ranked": []}',
    "heads_in_words.json": HEAD % ('"last"', 1),
    "heads_above.json": HEAD % (99, 1),
    "head_at_infinity.json": HEAD % ("Infinity", 1),
    "effect_of_nan.json": HEAD % (1, "NaN"),
    "one_head.json": HEAD % (1, 1),
    "heads_in_latin.json": b'{"ranked": "\xdf"}',
}


def write_task_files(place: Path) -> None:
    for name, content in {**TASK_FILES, **RANKINGS}.items():
        as_bytes = content.encode() if isinstance(content, str) else content
        (place / name).write_bytes(as_bytes)


def write_models(place: Path, folder: Path) -> None:
    """Copies of a tiny model, each with one fault."""
    edits: dict[str, Callable[[Path], Any]] = {
        "no_weights": lambda at: (at / "model.safetensors").unlink(),
        "not_safetensors": lambda at: _write(at, "model.safetensors", b"not safetensors"),
        "huge_header": lambda at: _write(at, "model.safetensors", b"\xff" * 64),
        "half_weights": _cut_weights,
        "pickled": _pickle_weights,
        "lost_shard": lambda at: _write(at, INDEX, b'{"weight_map": {"a": "lost.safetensors"}}'),
        "damaged_index": lambda at: _write(at, INDEX, b'{"weight_map": [1]}'),
        "no_config": lambda at: (at / "config.json").unlink(),
        "broken_config": lambda at: _write(at, "config.json", b'{"model_type": '),
        "list_config": lambda at: _write(at, "config.json", b"[1]"),
        "unknown_type": lambda at: _edit(at, model_type="no_such_type"),
        "no_type": lambda at: _edit(at, model_type=None, architectures=None),
        "wider": lambda at: _edit(at, hidden_size=64, head_dim=16),
        "deeper": lambda at: _edit(at, num_hidden_layers=9),
        "shallower": lambda at: _edit(at, num_hidden_layers=2),
        "no_blocks": lambda at: _edit(at, num_hidden_layers=0),
        "negative_blocks": lambda at: _edit(at, num_hidden_layers=-1),
        "text_for_blocks": lambda at: _edit(at, num_hidden_layers="four"),
        "astronomic": lambda at: _edit(at, hidden_size=2**40, num_hidden_layers=2**20),
        "other_vocabulary": lambda at: _edit(at, vocab_size=7),
        "uneven_heads": lambda at: _edit(at, num_attention_heads=5, head_dim=None),
        "encoder": lambda at: _edit(at, model_type="t5", architectures=["T5Model"]),
        "no_tokenizer": _remove_tokenizer,
        "broken_tokenizer": lambda at: _write(at, "tokenizer.json", b'{"version": "1.0"}'),
        "own_code": lambda at: _edit(at, model_type="own", auto_map={"AutoConfig": "own.Own"}),
    }
    for name, edit in edits.items():
        edit(Path(shutil.copytree(folder, place / name)))


INDEX = "model.safetensors.index.json"


def write_vectors(place: Path, model: icl.Model) -> None:
    theta = icl.extract(model, {"a": "b", "c": "d", "e": "f"}, ["g"])
    theta.save(place / "theta.safetensors")
    everywhere = icl.extract(model, icl.load_task("to_upper"), prompts=2, method="icv")
    everywhere.save(place / "icv.safetensors")
    content = (place / "theta.safetensors").read_bytes()
    _write(place, "cut.safetensors", content[:-8])
    _write(place, "flipped.safetensors", content[:-1] + bytes([content[-1] ^ 1]))
    save_file({"vectors": torch.zeros(4, 32)}, place / "others.safetensors")
    described = {"format": "icl_vectors.task_vector.9"}
    save_file({"vectors": torch.zeros(4, 32)}, place / "future.safetensors", metadata=described)


def write_runs(place: Path, finished: Path) -> None:
    """Copies of a finished sweep, each with one fault, and folders that are no run."""
    (place / "full").mkdir()
    (place / "full" / "thesis.txt").write_text("mine", "utf-8")
    (place / "vacant").mkdir()
    for name, file, changes in (
        ("future", "run.json", {"schema": 9}),
        ("future_results", "results.json", {"schema": 9}),
        ("schema_in_words", "run.json", {"schema": "one"}),
    ):
        at = Path(shutil.copytree(finished, place / name)) / file
        at.write_text(json.dumps({**json.loads(at.read_text("utf-8")), **changes}), "utf-8")


def _write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def _edit(folder: Path, **changes: Any) -> None:
    config = {**json.loads((folder / "config.json").read_text("utf-8")), **changes}
    kept = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept), "utf-8")


def _cut_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    _write(folder, "model.safetensors", content[: len(content) // 2])


def _pickle_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")


def _remove_tokenizer(folder: Path) -> None:
    for file in folder.glob("*token*"):
        file.unlink()
