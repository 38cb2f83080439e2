import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import Task
from tests.tiny import bytes_tokenizer

SCRIPTS = (
    ("a", "z"),
    ("À", "ÿ"),
    ("α", "ω"),
    ("а", "я"),
    ("א", "ת"),
    ("ء", "ي"),
    ("ぁ", "ん"),
    ("一", "丿"),
    ("가", "갛"),
    ("😀", "🙏"),
    ("\u0300", "\u0310"),  # combining marks
    ("0", "9"),
)
SIGNS = " →->:,.'\u200d\u00a0\u2028"
LETTERS = st.one_of(
    *[st.characters(min_codepoint=ord(a), max_codepoint=ord(b)) for a, b in SCRIPTS],
    st.sampled_from(SIGNS),
)
WORDS = st.text(LETTERS, min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
PAIRS = st.dictionaries(WORDS, st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=3)))
TEMPLATES = st.sampled_from(["{input}→{output}", "example:{input}->{output}"])


@cache
def tokenizer(bos: bool) -> Any:
    return bytes_tokenizer(bos=bos)


def whole_text(ids: Sequence[int], bos: bool) -> str:
    return str(tokenizer(bos).decode(list(ids)[bos:], clean_up_tokenization_spaces=False))


def test_every_prompt_ends_in_one_query_arrow_where_the_tokenizer_says() -> None:
    checked: list[str] = []

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        pairs=st.dictionaries(WORDS, WORDS, min_size=6, max_size=10),
        template=TEMPLATES,
        bos=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def check(pairs: dict[str, str], template: str, bos: bool, seed: int) -> None:
        form = Template(template)
        try:
            task = Task.from_pairs("random", pairs)
            (prompt,) = sample_prompts(task, seed=seed, dev=0, test=1, shots=3, dummies=1)[1]
            encoded = encode_prompt(tokenizer(bos), form, prompt, 4000)
        except IclVectorsError as error:  # inputs that differ in blanks alone are one; "→" + ">"
            assert "found fewer" in str(error) or "joins the arrow" in str(error)
            return
        for query, suffix in zip([prompt.query, *prompt.dummies], encoded.suffixes, strict=True):
            ids = [*encoded.shared, *suffix]
            text = form.prompt(prompt.demonstrations, query)
            assert whole_text(ids, bos) == text  # nothing lost, nothing after the arrow
            *before, last = text.split("\n")
            assert len(before) == len(prompt.demonstrations) == 3
            assert last == form.query(query) and last.endswith(form.arrow)
            offsets = tokenizer(bos)(text, return_offsets_mapping=True)["offset_mapping"]
            start, end = offsets[len(ids) - 1]
            assert end == len(text) and text[start:end] in form.arrow
        assert whole_text(encoded.alone, bos) == form.query(prompt.query)
        checked.append(prompt.query)

    check()
    assert len(checked) > 50


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=PAIRS.filter(bool))
@example(pairs={"pairs": ["0"]})  # a key that also names a list of rows
def test_every_form_of_file_gives_the_same_task(
    pairs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    objects = [{"input": i, "output": o} for i, o in pairs.items()]
    contents = {
        "map/t.json": json.dumps(pairs),
        "list/t.json": json.dumps(objects, ensure_ascii=False, indent=1),
        "t.jsonl": "\n".join(json.dumps(one, ensure_ascii=False) for one in objects),
    }
    found = []
    for name, text in contents.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())
        found.append(Task.from_file(file).pairs)
    assert found[0] == found[1] == found[2] == Task.from_pairs("t", pairs).pairs


def test_a_frame_gives_the_task_of_its_columns() -> None:
    frame = pandas.DataFrame(
        {"fruit": ["apple", "lime ", "plum"], "colour": ["red", ["green", "lime"], "purple"]}
    )
    task = Task.from_frame("colours", frame, input="fruit", output="colour")
    assert task.name == "colours"
    assert task.pairs == (("apple", ("red",)), ("lime", ("green", "lime")), ("plum", ("purple",)))
    numbers = pandas.DataFrame({"input": [1, 2], "output": [2, 4], "note": ["", ""]})
    assert Task.from_frame("double", numbers).pairs == (("1", ("2",)), ("2", ("4",)))


def test_what_a_frame_lacks_is_named() -> None:
    frame = pandas.DataFrame({"input": ["a", None], "outputs": ["b", "c"]}, index=[7, 8])
    with pytest.raises(IclVectorsError, match="unknown column 'output'. Did you mean outputs"):
        Task.from_frame("t", frame)
    with pytest.raises(IclVectorsError, match="task 't', row 8: expected text, found a missing"):
        Task.from_frame("t", frame, output="outputs")


def test_a_set_of_answers_or_of_pairs_is_sorted_so_that_the_fingerprint_stays() -> None:
    script = (
        "import pandas; from icl_vectors.tasks.task import Task; words = {'c', 'a', 'b'};"
        "frame = pandas.DataFrame({'input': ['x'], 'output': [words]});"
        "a = Task.from_pairs('t', {'x': words}); b = Task.from_frame('t', frame);"
        "c = Task.from_pairs('t', {(w, w.upper()) for w in words});"
        "print(a.pairs, b.fingerprint == a.fingerprint, c.pairs)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    pairs = (("a", ("A",)), ("b", ("B",)), ("c", ("C",)))
    assert said == {f"{(('x', ('a', 'b', 'c')),)} True {pairs}\n"}


def test_arrays_and_nullable_columns_are_read_as_their_texts() -> None:
    frame = pandas.DataFrame(
        {
            "input": pandas.array(["a", "b"], dtype="string"),
            "output": [np.array(["x", "y"]), pandas.Series(["z"])],
        }
    )
    assert Task.from_frame("t", frame).pairs == (("a", ("x", "y")), ("b", ("z",)))
    pairs = np.array([["a", "x"], ["b", "y"]])
    assert Task.from_pairs("t", pairs).pairs == (("a", ("x",)), ("b", ("y",)))
    series: Any = pandas.Series({"a": "x", "b": "y"})
    assert Task.from_pairs("t", series).pairs == (("a", ("x",)), ("b", ("y",)))


@pytest.mark.parametrize(
    ("input", "output", "said"),
    [
        ("a", pandas.NA, "row 7: expected text, found a missing cell"),
        ("a", pandas.NaT, "row 7: expected text, found a missing cell"),
        ("a", ["x", pandas.NA], "row 7: expected text, found a missing cell"),
        (pandas.NA, "x", "row 7: expected text, found a missing cell"),
        ("a", " ", "row 7: expected text, found a blank one"),
        ("a", [], "row 7: expected an output, found an empty list"),
        ("a", {"x": 1}, "row 7: found .*list of one"),
        ("a", [["x"], ["y"]], "row 7: found .*list of one"),
        (np.array(["a", "b"]), "x", r"row 7: expected text for the input, found \"\['a' 'b'\]\""),
    ],
)
def test_a_cell_that_is_no_text_is_named(input: object, output: object, said: str) -> None:
    frame = pandas.DataFrame({"input": [input], "output": [output]}, index=[7])
    with pytest.raises(IclVectorsError, match=f"task 't', {said}") as raised:
        Task.from_frame("t", frame)
    assert "\n" not in str(raised.value)


def test_a_column_twice_and_a_frame_for_pairs_are_refused_with_the_cure() -> None:
    frame: Any = pandas.DataFrame([["a", "b", "c"]], columns=["input", "output", "output"])
    with pytest.raises(IclVectorsError, match="expected one column 'output', found 2; rename"):
        Task.from_frame("t", frame)
    with pytest.raises(IclVectorsError, match=r"found a frame; use Task\.from_frame"):
        Task.from_pairs("t", frame)
    with pytest.raises(IclVectorsError, match="expected text for input and output"):
        Task.from_pairs("t", {"a": {"x": "y"}})
