"""Wrong types and values in Python: each call ends in one line that says what was expected."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.models.load import Model

icl: Any = import_module("icl_vectors")  # as it is for callers without a type checker
PAIRS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima"}
CASES = {  # what a caller does, who need not run a type checker: what is told
    'extract(model, "antonyms")': "found 'antonyms'; a built-in task is load_task",
    "extract(model, None)": "expected a mapping of inputs to outputs, or pairs of them, f",
    'extract(model, ["ab", "cd", "ef"])': "expected pairs of input and output, found 'ab'",
    'extract(model, {**PAIRS, "Cuba": None})': "for input and output, found 'Cuba': [None]",
    'Task.from_pairs("a", {"x": [1, 2]})': "expected text for input and output, found 'x': [1, 2]",
    'extract(model, PAIRS, "Kenya")': "dummies 'Kenya': expected a list of texts: ['Kenya']",
    "extract(model, PAIRS, [3])": "dummy 3: expected one line of text, found no text",
    "extract(model, PAIRS, layers=[1, 2.5])": "layers [1, 2.5]: expected all, A:B",
    'apply(model, theta, {"Spain"}, layer=1)': "expected queries, a list of texts, found set",
    "extract(model, PAIRS, template=3)": "template 3: expected text, such as '{input}→{output}'",
    'apply(model, theta, "Spain", layer="x")': "'x': expected a block, such as 10, or [9, 10]",
    'apply(model, theta, "Spain", layer=True)': "layer True: expected a block",
    'apply(model, theta, "Spain", layer=[1.5])': "[1.5]: expected a block, such as 10, or [9, 10]",
    'apply(model, theta, "Spain", layer=[])': "expected one layer or several, found an empty list",
    "apply(model, theta, [3], layer=1)": "expected queries that are text, found 3",
    "apply(model, theta, None, layer=1)": "expected queries, a list of texts, found NoneType None",
    'apply(model, theta, "a\\nb", layer=1)': "query 'a\\nb': expected one line, found a newline",
    'apply(model, "theta.safetensors", "Spain", layer=1)': "found str; read a file with TaskV",
    'apply(model, theta, "Spain", layer=1, scale="2")': "--scale 2: expected a finite number",
    'apply(model, theta, "Spain", layer=1, max_new_tokens=1.5)': "--max-new-tokens 1.5: expected 1",
    'apply(model, theta, "Spain", layer=1, top_k=1.5)': "--top-k 1.5: expected 1 to 400 tokens",
    'apply("gemma-3-270m", theta, "Spain")': "expected a model of icl_vectors.load_model or a",
    'load_model("what is this?")': "gemma-3-270m, smollm2-135m",
    "load_model(3)": "model 3: expected a Hugging Face id, a folder's path as text",
    'load_model("gemma-3-270m", dtype=32)': "unknown dtype 32. Known: auto",
    'Task.from_frame("c", [1])': "a pandas frame with the columns input and output, found list",
    "load_task(3)": "unknown task 3. Known: antonyms",
    'Task.from_pairs("a\\nb", {"x": "y"})': "expected a name that can be that of a file",
    "sweep(model, 3)": "tasks 3: expected names",
    'sweep(model, ["to_upper", 3])': "expected tasks or their names, found 3",
    'sweep(model, "to_upper", seeds="forty")': "'forty': expected whole numbers, such as 41,42",
    'sweep(model, "to_upper", seeds=41)': "seeds 41: expected whole numbers",
    'sweep(model, "to_upper", seeds=[])': "seeds []: expected whole numbers",
    'sweep(model, "to_upper", shots="5")': "--shots 5: expected 0 or more",
    'sweep(model, "to_upper", test=1.5)': "--test 1.5: expected 1 or more",
    'sweep(model, "to_upper", batch_size=True, dev=2, test=2)': "--batch-size True: expected auto",
    "TaskVector.mean([theta, 3])": "expected task vectors, found int (3)",
    'theta * "2"': "a finite number to multiply by",
    "theta.at(9)": "layer 9: this task vector holds",
    'extract(model, {"a": "b", "c": "d"}, ["a"])': "not demonstrated, found 'a'",
    'extract(model, {"a": "b", "c": "d", "e": "f"})': "found 3 demonstrations",
    'extract(model, {}, ["e"])': "expected pairs, found none",
    "apply(model, theta, [], layer=1)": "queries that are not blank",
    'apply(model, theta, ["a", " "], layer=1)': "queries that are not blank",
    'apply(model, theta, ["a"], layer=1, max_new_tokens=0)': "expected 1 or more",
    'apply(model, theta, ["a"], layer=4)': "within 0 to 3",
    'apply(model, theta, ["a"], layer=[1, 9])': "within 0 to 3",
    'apply(model, theta.only([1]), ["a"], layer=2)': "holds the layers 1",
    'apply(model, theta, "a", layer=1, mode="ad")': "unknown mode 'ad'. Did you mean add",
    'apply(model, theta, "a", layer=1, top_k=0)': "--top-k 0: expected 1 to 400",
    'apply(model, theta, "a", layer=1, scale=float("inf"))': "expected a finite number",
    'apply(model, 2, "a", layer=1)': "expected a task vector, found int",
    'extract(model, PAIRS, ["Kenya"], prompts=2)': "prompts 2: expected 1 with demonstrations",
    'extract(model, load_task("to_upper"), shots=0)': "shots 0: expected 1 or more",
    'extract(model, PAIRS, method="states")': "Did you mean state",
    'extract(model, PAIRS, method="multi")': "few-shot prompts",
    'extract(model, PAIRS, method="function")': "expected a task and 2 prompts or more",
    'extract(model, PAIRS, method="icv", heads="heads.json")': "expected function",
    'load_model(folder, dtype="float23")': "unknown dtype 'float23'. Did you mean float32",
    'load_model(folder, device="tpu!")': "--device tpu!: expected cpu, cuda",
    'load_model(folder, remote="not-an-address")': "expected an address such as",
    "theta - 2": "expected",
    "theta.cosine(2)": "expected",
    'theta * float("nan")': "expected",
}


@pytest.fixture(scope="module")
def theta(llama: Model) -> Any:
    return icl.extract(llama, PAIRS)


@pytest.mark.parametrize("call", CASES)
def test_a_wrong_type_is_told(llama: Model, llama_folder: Path, theta: Any, call: str) -> None:
    names = {name: getattr(icl, name) for name in icl.__all__}
    names |= {"PAIRS": PAIRS, "model": llama, "theta": theta, "folder": llama_folder}
    with pytest.raises(IclVectorsError) as caught:
        eval(call, names)
    assert CASES[call] in str(caught.value) and "\n" not in str(caught.value)


def test_minus_one_is_the_last_layer_of_a_vector_that_holds_all(theta: Any) -> None:
    assert theta.at(-1).equal(theta.at(3)) and theta.at(-4).equal(theta.at(0))
    with pytest.raises(IclVectorsError, match=r"layer -5: this task vector holds the layers 0, 1"):
        theta.at(-5)
    upper = theta.only([2, 3])
    with pytest.raises(IclVectorsError, match="layer -1: this task vector holds the layers 2, 3"):
        upper.at(-1)


def test_a_path_is_a_models_reference_too(llama_folder: Path, llama: Model) -> None:
    opened = icl.load_model(llama_folder)
    assert opened.reference == str(llama_folder) and opened.fingerprint == llama.fingerprint
