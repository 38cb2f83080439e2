import json
import re
from pathlib import Path
from time import process_time

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.tasks.files import read_pairs
from icl_vectors.tasks.task import Task
from tests.told import told

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
    ("a.json", '[{"input": "a", "output": "b"},\n {"input": "a"}]', 2, "without the keys"),
    ("a.json", '[{"input": "{", "output": "]"},\n\n ["a", "b"]]', 3, "without the keys"),
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
    assert sorted(read_pairs(write(tmp_path, name, GOOD[name])).pairs) == PAIRS


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("A.CSV", ",")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_columns_come_in_any_order(tmp_path: Path, name: str, delimiter: str, newline: str) -> None:
    rows = [["note", "Output", " input"], ["x", "Red", "Apple"], ["", '"a, b\tc"', "Lime"]]
    text = newline.join(delimiter.join(row) for row in rows[:2]) + newline
    assert read_pairs(write(tmp_path, name, text)).pairs == [("Apple", ["Red"])]


def test_a_quoted_cell_may_hold_the_delimiter(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", 'input,output\n"c,d,b",c\n')
    assert read_pairs(file).pairs == [("c,d,b", ["c"])]


@pytest.mark.parametrize(("name", "text", "line", "found"), BAD)
def test_a_damaged_file_is_named(
    tmp_path: Path, name: str, text: str, line: int, found: str
) -> None:
    file = write(tmp_path, name, text)
    place = rf"{re.escape(str(file))}, line {line}( \(entry 2\))?"
    forms = re.escape('expected JSON {"input": "output", …}')
    told = f"^task file {place}: found .*{re.escape(found)}.*{forms}"
    with pytest.raises(IclVectorsError, match=told):
        read_pairs(file)


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


def test_all_outputs_of_an_input_are_accepted_and_the_first_is_demonstrated(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "input,output\na,b\nc,d\na,x\na,b\n")
    found = read_pairs(file)
    assert found.pairs == [("a", ["b", "x"]), ("c", ["d"])]
    assert found.notes == (
        f"task file {file}: line 5 repeats line 2 ('a'); each is used once.",
        f"task file {file}: 1 input has several outputs; all are accepted, the first is "
        "demonstrated (such as 'a': line 2: 'b'; line 4: 'x').",
    )
    assert Task.from_file(file).demonstration("a") == ("a", "b")
    twice = write(tmp_path, "b.json", '{"e": ["f", "g"],\n"a": "b",\n"c": "d",\n"a": ["x", "b"]}')
    assert read_pairs(twice).pairs == [("e", ["f", "g"]), ("a", ["b", "x"]), ("c", ["d"])]
    (note,) = Task.from_file(twice).notes
    assert "2 inputs have several outputs" in note and "'a': line 2: 'b'; line 4: 'x'" in note


def test_inputs_in_two_unicode_forms_are_named(tmp_path: Path) -> None:
    file = write(
        tmp_path, "a.csv", "input,output\nP\u00e9rou,Lima\nFrance,Paris\nPe\u0301rou,Lima\n"
    )
    found = read_pairs(file)
    assert len(found.pairs) == 3
    (note,) = found.notes
    assert "line 2 and line 4 ('Pe\u0301rou') read alike and differ in their Unicode form" in note


def test_lines_that_repeat_are_used_once_and_strict_files_may_have_them(tmp_path: Path) -> None:
    repeated = write(tmp_path, "b.csv", "input,output\na,b\na,b\n")
    for strict in (False, True):
        found = read_pairs(repeated, strict)
        assert found.pairs == [("a", ["b"])]
        assert found.notes == (
            f"task file {repeated}: line 3 repeats line 2 ('a'); each is used once.",
        )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.json",
            '{"a": "b",\n\n"a": "c"}',
            "line 3 gives 'a' the output 'c', line 1 gave it 'b'",
        ),
        ("a.json", '{"a": "b",\n"b": "a",\n"\\u0061": "c"}', "line 3 gives 'a'"),
        (
            "a.json",
            '[{"input": "a", "output": "{"},\n{"input": "c", "output": "d"},\n'
            '{"input": "a", "output": "d"}]',
            "line 3 (entry 3) gives 'a' the output 'd', line 1 (entry 1) gave it '{'",
        ),
        (
            "a.jsonl",
            '\n{"input": "a", "output": "b"}\n{"input": "a", "output": "c"}',
            "line 3 gives 'a' the output 'c', line 2 gave it 'b'",
        ),
        ("a.tsv", "output\tinput\nb\ta\nc\t a \n", "line 3 gives 'a' the output 'c', line 2"),
        ("a.csv", "input,output\na,b\na,c\nd,e\nd,f\n", "line 3 gives 'a' the output 'c'"),
    ],
)
def test_strict_reading_names_contradictions(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with told(said):
        Task.from_file(write(tmp_path, name, text), strict=True)


def test_all_contradictions_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"k{i},b\nk{i},c\n" for i in range(10))
    with pytest.raises(IclVectorsError, match="line 3 gives .*; line 5 .*; and 7 more; to accept"):
        read_pairs(write(tmp_path, "a.csv", f"input,output\n{rows}"), strict=True)


def test_line_separators_of_unicode_are_text_and_end_no_line(tmp_path: Path) -> None:
    strange = "a\u2028b\x85c"
    lines = f'{{"input": "x", "output": "{strange}"}}\n{{"input": "y", "output": "z"}}'
    assert read_pairs(write(tmp_path, "a.jsonl", lines)).pairs[0] == ("x", [strange])
    table = f"input,output\nx,{strange}\ny,z\n"
    assert read_pairs(write(tmp_path, "a.csv", table)).pairs == [("x", [strange]), ("y", ["z"])]


@pytest.mark.parametrize("name", ["a.json", "a.csv"])
def test_a_hundred_thousand_rows_are_read_in_seconds(tmp_path: Path, name: str) -> None:
    pairs = [(f"in {i}", f"out {i}") for i in range(100_000)]
    text = {
        "a.json": json.dumps(dict(pairs), indent=1),
        "a.csv": "input,output\n" + "".join(f"{i},{o}\n" for i, o in pairs),
    }[name]
    start = process_time()
    task = Task.from_file(write(tmp_path, name, text))
    assert process_time() - start < 10  # about one second; 100 times that where it is quadratic
    assert len(task.pairs) == 100_000 and task.pairs[-1] == ("in 99999", ("out 99999",))


def test_an_output_of_a_table_may_be_a_list(tmp_path: Path) -> None:
    file = tmp_path / "colours.tsv"
    file.write_text(
        'input\toutput\nlime\t"[""green"", ""lime green""]"\nsnow\t"[""white"\n', "utf-8"
    )
    pairs = Task.from_file(file).pairs
    assert pairs == (("lime", ("green", "lime green")), ("snow", ('["white',)))


def test_a_table_that_would_lose_cells_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "colours.csv"
    file.write_text("input,output\napple,red, bright\n", "utf-8")
    with pytest.raises(IclVectorsError, match=r"line 2: .*more cells than columns"):
        Task.from_file(file)
    file.write_text("input,output,output\napple,red,bright\n", "utf-8")
    with pytest.raises(IclVectorsError, match=r"line 1: .*a column twice"):
        Task.from_file(file)
