import re
from pathlib import Path

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.task_files import read_pairs

PAIRS = [("Apple", ["Red"]), ("Lime", ["Green", "light green"]), ("→ü", ["1"])]
GOOD = {
    "mapping.json": '{"Apple": "Red", "Lime": ["Green", "light green"], "→ü": 1}',
    "list.json": (
        '[{"input": "Apple", "output": "Red"}, {"input": "→ü", "output": "1"},\n'
        ' {"input": "Lime", "output": ["Green", "light green"]}]'
    ),
    "own.json": (
        '{"name": "x", "pairs": [{"input": "Apple", "output": ["Red"]},'
        '{"input": "Lime", "output": ["Green", "light green"]}, {"input": "→ü", "output": 1}]}'
    ),
    "lines.jsonl": (
        '{"input": "Apple", "output": "Red"}\n\n{"input": " →ü ", "output": "1"}\n'
        '{"input": "Lime", "output": ["Green", "light green"]}\n'
    ),
    "with_mark.json": '\ufeff{"Apple": "Red", "Lime": ["Green", "light green"], "→ü": "1"}',
}
BAD = [
    ("a.json", "", 1, "broken JSON"),
    ("a.json", '{"a": "b",\n"c": }', 2, "broken JSON"),
    ("a.json", "[" * 100_000, 1, "nested too deeply"),
    ("a.json", "{}", 1, "no pairs"),
    ("a.json", "[]", 1, "no pairs"),
    ("a.json", "3", 1, "JSON of type int"),
    ("a.json", '{"a": "b",\n"c": null}', 2, "None where text"),
    ("a.json", '{"a": "b",\n\n"c": " "}', 3, "' ' where text"),
    ("a.json", '{"a": "b",\n"c": {"d": "e"}}', 2, "where text"),
    ("a.json", '{"a": "b",\n"c": []}', 2, "an empty list of outputs"),
    ("a.json", '{"a": "b",\n"c": ["d", true]}', 2, "True where text"),
    ("a.json", '{"a": "b",\n"c": "d\\ne"}', 2, "newline or control character"),
    ("a.json", '{"a": "b",\n"c": "\\ud800"}', 2, "surrogate"),
    ("a.json", '[{"input": "a", "output": "b"}, {"input": "a"}]', 2, "without the keys"),
    ("a.json", '[{"input": "a", "output": "b"}, ["a", "b"]]', 2, "without the keys"),
    ("a.jsonl", '{"input": "a", "output": "b"}\n\n{"input": "a", "outp', 3, "broken JSON"),
    ("a.jsonl", '{"input": "a", "output": "b"}\n["a"]', 2, "without the keys"),
    ("a.csv", "in,out\na,b\n", 1, "the columns in, out"),
    ("a.csv", "", 1, "the columns none"),
    ("a.csv", "input,output\n", 1, "no pairs"),
    ("a.csv", "input,output\na,b\nc\n", 3, "None where text"),
    ("a.csv", "input,output\na,b\n,d\n", 3, "'' where text"),
    ("a.tsv", "input,output\na,b\n", 1, "the columns input,output"),
    ("a.txt", "a b", 1, "a file that ends in .txt"),
    ("task", "a b", 1, "a file that ends in nothing"),
]


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize("name", GOOD)
def test_every_form_of_json_is_read(tmp_path: Path, name: str) -> None:
    assert sorted(read_pairs(write(tmp_path, name, GOOD[name]))) == PAIRS


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("A.CSV", ",")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_tables_are_read_with_columns_in_any_order(
    tmp_path: Path, name: str, delimiter: str, newline: str
) -> None:
    rows = [["note", "Output", " input"], ["x", "Red", "Apple"], ["", '"a, b\tc"', "Lime"]]
    text = newline.join(delimiter.join(row) for row in rows[:2]) + newline
    assert read_pairs(write(tmp_path, name, text)) == [("Apple", ["Red"])]


def test_a_quoted_cell_may_hold_the_delimiter(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", 'input,output\n"c,d,b",c\n')
    assert read_pairs(file) == [("c,d,b", ["c"])]


@pytest.mark.parametrize(("name", "text", "line", "found"), BAD)
def test_a_damaged_file_is_refused_with_path_and_line(
    tmp_path: Path, name: str, text: str, line: int, found: str
) -> None:
    file = write(tmp_path, name, text)
    with pytest.raises(IclVectorsError) as raised:
        read_pairs(file)
    message = str(raised.value)
    assert re.match(rf"task file {re.escape(str(file))}, (line|entry) {line}: found ", message)
    assert found in message
    assert 'expected JSON {"input": "output", …}' in message


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"input,output\na,b\nc,\xff\n")
    with pytest.raises(IclVectorsError, match="line 3: found bytes that are not UTF-8"):
        read_pairs(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(IclVectorsError, match=r"none\.json: cannot be read \(No such file"):
        read_pairs(tmp_path / "none.json")
    folder = tmp_path / "folder.json"
    folder.mkdir()
    with pytest.raises(IclVectorsError, match="cannot be read"):
        read_pairs(folder)


def test_two_outputs_for_one_input_are_refused_unless_they_stand_in_a_list(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "input,output\na,b\nc,d\na,x\n")
    with pytest.raises(IclVectorsError, match="pair 3 gives 'a' the output 'x', pair 1 gave it"):
        read_pairs(file)
    repeated = write(tmp_path, "b.csv", "input,output\na,b\na,b\n")
    assert read_pairs(repeated) == [("a", ["b"]), ("a", ["b"])]
