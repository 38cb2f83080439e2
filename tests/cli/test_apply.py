import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.scoring import stable
from icl_vectors.vectors.gguf import LOST
from tests.cli.conftest import Command

PAIRS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo"}
FILE = "theta.safetensors"


@pytest.fixture
def theta(llama: Model, place: Path) -> icl.TaskVector:
    """A vector of the tiny Llama, saved in the folder where commands run."""
    made = icl.extract(llama, PAIRS, ["Kenya", "Cuba"], task="capitals")
    made.save(place / FILE)
    return made


def test_what_a_vector_is_needs_no_model(command: Command, theta: icl.TaskVector) -> None:
    replace(theta, model="/no/such/model", best_layer=2).save(FILE)
    code, out, err = command("apply", FILE, "--info")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "task            capitals" in lines
    assert "model           /no/such/model (a folder)" in lines
    assert "best layer      2" in lines
    assert "demonstrations  France→Paris, Japan→Tokyo, Egypt→Cairo" in lines
    norms = [line for line in lines if line.split()[0] in ("0", "1", "2", "3")]
    assert [float(line.split()[1]) for line in norms] == pytest.approx(theta.norms(), abs=0.01)
    assert [line.endswith("best") for line in norms] == [False, False, True, False]


def test_the_same_as_json(command: Command, theta: icl.TaskVector) -> None:
    document = json.loads(command("apply", FILE, "--info", "--json").out)
    assert document["layers"] == [0, 1, 2, 3]
    assert document["norms"] == pytest.approx(theta.norms(), abs=1e-4)
    assert document["demonstrations"] == [list(pair) for pair in PAIRS.items()]


def test_a_control_vector_says_what_is_lost(command: Command, theta: icl.TaskVector) -> None:
    code, out, _ = command("apply", FILE, "--gguf", "theta.gguf")
    assert (code, out) == (
        0,
        f"theta.gguf: a control vector with a direction for block 1, 2, 3\n{LOST}\n",
    )
    assert len(GGUFReader("theta.gguf").tensors) == 3
    code, out, _ = command("apply", FILE, "--gguf", "two.gguf", "--layer", "2,3", "--json")
    assert code == 0
    assert json.loads(out)["exported"] == {"gguf": "two.gguf", "layers": [2, 3], "lost": LOST}


def test_answers_are_those_of_python(command: Command, llama: Model, theta: icl.TaskVector) -> None:
    cases: list[tuple[list[Any], dict[str, Any]]] = [
        (["--layer", "1,3"], {"layer": [1, 3]}),
        (["--layer", "-1"], {"layer": 3}),
        (["--layer", "2", "--mode", "add"], {"layer": 2, "mode": "add"}),
        (["--layer", "2", "--scale", "3"], {"layer": 2, "scale": 3.0}),
    ]
    for arguments, options in cases:
        outcome = command("apply", FILE, "Spain", "Peru", *arguments, "--json")
        assert outcome.code == 0, outcome.err
        answers = [one["answer"] for one in json.loads(outcome.out)]
        assert answers == icl.apply(llama, theta, ["Spain", "Peru"], **options)


def test_the_likeliest_tokens_stand_behind_the_answer(
    command: Command, llama: Model, theta: icl.TaskVector
) -> None:
    expected = icl.apply(llama, theta, ["Spain"], layer=1, top_k=3)
    shown = json.loads(command("apply", FILE, "Spain", "--layer", 1, "--top-k", 3, "--json").out)
    assert [one["token"] for one in shown[0]["top"]] == [token for token, _ in expected.top[0]]
    values = [one["probability"] for one in shown[0]["top"]]
    assert values == [stable(value) for _, value in expected.top[0]]
    plain = command("apply", FILE, "Spain", "--layer", 1, "--top-k", 3).out
    assert plain.count("\n") == 1 and f"{values[2]:.3f}" in plain


def test_another_models_vector_needs_force(
    command: Command, llama_folder: Path, theta: icl.TaskVector
) -> None:
    replace(theta, fingerprint="abc").save(FILE)
    code, out, err = command("apply", FILE, "Spain", "--layer", 1)
    assert (code, out) == (2, "")
    assert "fingerprint abc, found" in err and "--force" in err
    forced = command("apply", FILE, "Spain", "--layer", 1, "--force")
    theta.save(FILE)
    assert forced.code == 0 and forced.out == command("apply", FILE, "Spain", "--layer", 1).out


def test_a_query_that_begins_with_a_hyphen_goes_behind_two(
    command: Command, theta: icl.TaskVector
) -> None:
    code, out, err = command("apply", FILE, "-5", "--layer", 1)
    assert (code, out) == (2, "")
    assert "No such option: -5. Queries that begin with - go behind --: apply FILE" in err
    assert command("apply", FILE, "--layer", 1, "--", "-5").code == 0


def test_by_layer_prints_a_table_of_what_python_gives(
    command: Command, llama: Model, theta: icl.TaskVector
) -> None:
    queries = ["Spain", "Peru", "Chile", "Malta", "Nepal", "Ghana", "Kiribati", "Tuvalu", "Togo"]
    frame = icl.apply_by_layer(llama, theta, queries)
    asked = command("apply", FILE, *queries, "--by-layer", "--json")
    rows = json.loads(asked.out)
    assert [row["answer"] for row in rows] == list(frame["answer"])
    assert [row["probability"] for row in rows] == pytest.approx(
        list(frame["probability"]), abs=1e-4
    )
    code, out, _ = command("apply", FILE, *queries, "--by-layer")
    assert code == 0 and max(map(len, out.splitlines())) <= 100
    heads = [line.split()[1:] for line in out.splitlines() if line.lstrip().startswith("layer")]
    assert len(heads) > 1 and sum(heads, []) == queries
    assert out.count("\n       3  ") == len(heads)
