import json
from pathlib import Path

import pandas
import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.tasks.task import Task
from tests.tasks.test_task_files import write
from tests.told import told

CELLS = {  # as DataFrame.to_csv writes lists, tuples and sets; as JSON; and texts that are none
    "['green', 'lime green']": ("green", "lime green"),
    "['it\\'s', \"it's\"]": ("it's",),
    "('green',)": ("green",),
    "{'lime', 'green'}": ("green", "lime"),
    '["gr\\u00fcn"]': ("grün",),
    '["[1, 2]"]': ("[1, 2]",),
    "[MASK]": ("[MASK]",),
    "(1)": ("(1)",),
    "[a, b]": ("[a, b]",),
    "{x}": ("{x}",),
}
UNCLEAR = ["[1, 2]", "[1 2]", "['a' 'b']", "[]", "(1, 2)", "{'a': 1}", "['a', 1]", "['a', None]"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_list_in_a_cell_is_read_as_its_answers(tmp_path: Path, cell: str) -> None:
    frame = pandas.DataFrame({"input": ["lime"], "output": [cell]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert Task.from_file(tmp_path / "t.csv").pairs == (("lime", CELLS[cell]),)
    assert Task.from_frame("t", frame).pairs == (("lime", CELLS[cell]),)


@pytest.mark.parametrize("cell", UNCLEAR)
def test_a_cell_of_two_readings_is_refused_with_the_cure(tmp_path: Path, cell: str) -> None:
    frame = pandas.DataFrame({"input": ["lime"], "output": [cell]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(IclVectorsError, match=r"t\.csv, line 2: found .*list of one") as of_file:
        Task.from_file(tmp_path / "t.csv")
    with pytest.raises(IclVectorsError, match="task 't', row 0: found .*list of one") as of_frame:
        Task.from_frame("t", frame)
    assert all(repr(cell)[1:-1] in str(one.value) for one in (of_file, of_frame))


def test_lists_that_a_frame_writes_as_csv_are_read_as_they_were(tmp_path: Path) -> None:
    answers = [["green", "lime green"], ("red", "crimson"), ["l'or"]]
    frame = pandas.DataFrame({"input": ["lime", "apple", "gold"], "output": answers})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert Task.from_file(tmp_path / "t.csv").pairs == Task.from_frame("t", frame).pairs
    assert Task.from_frame("t", frame).answers["lime"] == ("green", "lime green")


COLOURS = pandas.DataFrame({"input": ["apple", "lime"], "output": ["red", "green"], "n": [1, 2]})
ROWS = [{"input": "apple", "output": "red"}, {"input": "lime", "output": "green"}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(COLOURS[["input", "output"]].to_dict("list")),
        json.dumps(COLOURS.to_dict("list"), indent=1),
        COLOURS.to_json(orient="records"),
        COLOURS.to_json(orient="records", lines=True),
        json.dumps([["apple", "red"], ["lime", "green"]]),
        json.dumps([["input", "output"], ["apple", "red"], ["lime", "green"]]),
    ],
)
def test_json_as_other_programs_write_it_is_read_as_it_was_meant(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, "t.json", text)
    assert Task.from_file(file).pairs == (("apple", ("red",)), ("lime", ("green",)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({"train": ROWS, "test": ROWS}), "lists of rows named train, test, such as spl"),
        (COLOURS.to_json(), 'a frame\'s to_json() writes; give orient="records"'),
        (COLOURS.to_json(orient="index"), 'give orient="records"'),
        (COLOURS.to_json(orient="split"), "a frame in parts (columns, index, data)"),
        (COLOURS.to_json(orient="table"), "a frame in parts (schema, data)"),
        ('{"input": ["a", "b"], "output": ["c"]}', "2 under input and 1 under output"),
        ('[{"question": "a", "answer": "b"}]', "(the keys question, answer)"),
        ('[["a", "b", "c"]]', "a row without the keys input and output (list)"),
    ],
)
def test_json_of_another_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with told(said, "expected JSON"):
        Task.from_file(write(tmp_path, "t.json", text))


def test_a_mapping_of_the_words_input_and_output_among_others_stays_one(tmp_path: Path) -> None:
    text = '{"input": "output", "output": "input", "big": "small"}'
    assert len(Task.from_file(write(tmp_path, "t.json", text)).pairs) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '{"input": "a", "output": "[\'green\', \'lime green\']"}\n'),
        ("t.json", '[{"input": "a", "output": "[\'green\', \'lime green\']"}]'),
        ("t.json", "{\"a\": \"['green', 'lime green']\"}"),
    ],
)
def test_a_list_written_as_text_is_a_list_too(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert Task.from_file(tmp_path / name).answers["a"] == ("green", "lime green")


@pytest.mark.parametrize("cell", ["array(['x', 'y'], dtype=object)", "[np.str_('x')]", "[nan]"])
def test_a_list_as_numpy_shows_it_is_refused_with_the_cure(tmp_path: Path, cell: str) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"input": "a", "output": cell}), "utf-8")
    with pytest.raises(IclVectorsError, match="how NumPy or pandas shows a list; write several"):
        Task.from_file(tmp_path / "t.jsonl")
