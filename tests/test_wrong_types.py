from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.models import Model

icl: Any = import_module("icl_vectors")  # as it is for callers without a type checker
PAIRS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima"}
SMALL: dict[str, Any] = {"dev": 2, "test": 2}
Wrong = Callable[[Any, Any], Any]  # what a caller does, who need not run a type checker
CASES: dict[str, tuple[Wrong, str]] = {
    "the name of a task for demonstrations": (
        lambda model, theta: icl.extract(model, "antonyms"),
        r"found 'antonyms'; a built-in task is load_task",
    ),
    "nothing for demonstrations": (
        lambda model, theta: icl.extract(model, None),
        "expected a mapping of inputs to outputs, or pairs of them, found None",
    ),
    "words for pairs": (
        lambda model, theta: icl.extract(model, ["ab", "cd", "ef"]),
        "expected pairs of input and output, found 'ab'",
    ),
    "no answer": (
        lambda model, theta: icl.extract(model, {**PAIRS, "Cuba": None}),
        r"expected text for input and output, found 'Cuba': \[None\]",
    ),
    "numbers for answers": (
        lambda model, theta: icl.Task.from_pairs("a", {"x": [1, 2]}),
        r"expected text for input and output, found 'x': \[1, 2\]",
    ),
    "one text for dummies": (
        lambda model, theta: icl.extract(model, PAIRS, "Kenya"),
        r"dummies 'Kenya': expected a list of texts: \['Kenya'\]",
    ),
    "a number for a dummy": (
        lambda model, theta: icl.extract(model, PAIRS, [3]),
        "dummy 3: expected one line of text, found no text",
    ),
    "half a layer among several": (
        lambda model, theta: icl.extract(model, PAIRS, layers=[1, 2.5]),
        r"layers \[1, 2\.5\]: expected all, A:B",
    ),
    "queries without an order": (
        lambda model, theta: icl.apply(model, theta, {"Spain"}, layer=1),
        "expected queries, a list of texts, found set",
    ),
    "a number for a template": (
        lambda model, theta: icl.extract(model, PAIRS, template=3),
        "template 3: expected text, such as '{input}→{output}'",
    ),
    "a text for a layer": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer="x"),
        r"layer 'x': expected a block, such as 10, or \[9, 10\]",
    ),
    "True for a layer": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer=True),
        "layer True: expected a block",
    ),
    "a half layer": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer=[1.5]),
        r"layer \[1\.5\]: expected a block, such as 10, or \[9, 10\], as whole numbers",
    ),
    "no layers": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer=[]),
        "expected one layer or several, found an empty list",
    ),
    "a number for a query": (
        lambda model, theta: icl.apply(model, theta, [3], layer=1),
        "expected queries that are text, found 3",
    ),
    "nothing for queries": (
        lambda model, theta: icl.apply(model, theta, None, layer=1),
        "expected queries, a list of texts, found NoneType None",
    ),
    "a query of two lines": (
        lambda model, theta: icl.apply(model, theta, "a\nb", layer=1),
        r"query 'a\\nb': expected one line, found a newline",
    ),
    "a file's name for a vector": (
        lambda model, theta: icl.apply(model, "theta.safetensors", "Spain", layer=1),
        r"expected a task vector, found str; read a file with TaskVector\.load",
    ),
    "a text for a scale": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer=1, scale="2"),
        "--scale 2: expected a finite number",
    ),
    "half a token": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer=1, max_new_tokens=1.5),
        "--max-new-tokens 1.5: expected 1 or more",
    ),
    "half a top token": (
        lambda model, theta: icl.apply(model, theta, "Spain", layer=1, top_k=1.5),
        "--top-k 1.5: expected 1 to 400 tokens",
    ),
    "the name of a model for a model": (
        lambda model, theta: icl.apply("gemma-3-270m", theta, "Spain"),
        r"expected a model of icl_vectors\.load_model or an nnsight",
    ),
    "a number for a model's name": (
        lambda model, theta: icl.load_model(3),
        "model 3: expected a Hugging Face id, a folder's path as text",
    ),
    "a number for a dtype": (
        lambda model, theta: icl.load_model("gemma-3-270m", dtype=32),
        r"unknown dtype 32\. Known: auto",
    ),
    "a list for a frame": (
        lambda model, theta: icl.Task.from_frame("c", [1]),
        "expected a pandas frame with the columns input and output, found list",
    ),
    "a number for a task's name": (
        lambda model, theta: icl.load_task(3),
        r"unknown task 3\. Known: antonyms",
    ),
    "a name of two lines": (
        lambda model, theta: icl.Task.from_pairs("a\nb", {"x": "y"}),
        "expected a name that can be that of a file",
    ),
    "a number for tasks": (lambda model, theta: icl.sweep(model, 3), "tasks 3: expected names"),
    "numbers among tasks": (
        lambda model, theta: icl.sweep(model, ["to_upper", 3]),
        "expected tasks or their names, found 3",
    ),
    "a text for seeds": (
        lambda model, theta: icl.sweep(model, "to_upper", seeds="forty"),
        "--seeds 'forty': expected whole numbers, such as 41,42",
    ),
    "one seed without brackets": (
        lambda model, theta: icl.sweep(model, "to_upper", seeds=41),
        "seeds 41: expected whole numbers",
    ),
    "no seeds": (
        lambda model, theta: icl.sweep(model, "to_upper", seeds=[]),
        r"seeds \[\]: expected whole numbers",
    ),
    "a text for a count": (
        lambda model, theta: icl.sweep(model, "to_upper", shots="5"),
        "--shots 5: expected 0 or more",
    ),
    "half a prompt": (
        lambda model, theta: icl.sweep(model, "to_upper", test=1.5),
        "--test 1.5: expected 1 or more",
    ),
    "True for a batch": (
        lambda model, theta: icl.sweep(model, "to_upper", batch_size=True, **SMALL),
        "--batch-size True: expected auto, or 1 or more",
    ),
    "a vector of a number": (
        lambda model, theta: icl.TaskVector.mean([theta, 3]),
        r"expected task vectors, found int \(3\)",
    ),
    "a vector times a text": (lambda model, theta: theta * "2", "a finite number to multiply by"),
    "a block that it has not": (
        lambda model, theta: theta.at(9),
        "layer 9: this task vector holds",
    ),
}


@pytest.fixture(scope="module")
def theta(llama: Model) -> Any:
    return icl.extract(llama, PAIRS)


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_type_is_told_in_one_line(llama: Model, theta: Any, name: str) -> None:
    wrong, told = CASES[name]
    with pytest.raises(IclVectorsError, match=told) as caught:
        wrong(llama, theta)
    assert "\n" not in str(caught.value)


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
