from pathlib import Path

import pytest

from icl_vectors.errors import IclVectorsError
from tests.benchmarks.fuzz import Reader, inputs, readers, run_cases

CASES = 2_000  # of all readers; `python -m tests.benchmarks.fuzz` runs more
NAMES = sorted(
    f"{name}{way}"
    for name, ways in {
        **dict.fromkeys(("task.json", "task.jsonl", "task.csv", "task.tsv"), ("",)),
        **dict.fromkeys(("vector", "heads.json", "config.json"), ("",)),
        **dict.fromkeys(("run.json", "results.json"), (", reported", ", resumed")),
        **dict.fromkeys(("records.jsonl", "samples.jsonl"), (", reported", ", resumed")),
        "prompts.jsonl": (", reported", ", resumed"),
    }.items()
    for way in ways
)


def test_every_reader_is_tried(tmp_path: Path) -> None:
    found = readers(tmp_path)
    assert sorted(found) == NAMES
    assert sum(reader.share for reader in found.values()) == 100


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_a_short_message_comes_out_of_a_reader(tmp_path: Path, name: str) -> None:
    reader = readers(tmp_path)[name]
    count = CASES * reader.share // 100
    outcomes = run_cases(name, reader, tmp_path, count)
    assert outcomes.total() == count


def test_a_reader_that_lets_another_error_out_is_found(tmp_path: Path) -> None:
    def careless(path: Path) -> object:
        if len(path.read_bytes()) == 7:
            raise KeyError("seven")
        raise IclVectorsError("no")

    reader = Reader(careless, [b'{"a": 1}'], "file.json", 1)
    with pytest.raises(AssertionError, match=r"careless, input \d+ .*KeyError\('seven'\)"):
        run_cases("careless", reader, tmp_path, 100)


def test_the_inputs_are_the_same_for_a_seed_and_differ_from_each_other() -> None:
    valid = [b'{"a": "b", "c": ["d", "e"]}']
    first = list(inputs(valid, 90, "x"))
    assert first == list(inputs(valid, 90, "x")) != list(inputs(valid, 90, "y"))
    assert len(set(first)) > 60
