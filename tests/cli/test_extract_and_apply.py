import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader

import icl_vectors as icl
from icl_vectors.cli.terminal import printable
from icl_vectors.models.load import Model
from icl_vectors.prompts.sampling import sample_prompts
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


def test_a_vector_is_extracted_and_applied(command: Command, llama: Model) -> None:
    demos = "--demo France→Paris --demo Japan→Tokyo --demo 'Egypt → Cairo'"
    made = command.tiny(f"extract {demos} --dummy Kenya --dummy Cuba -o {FILE}")
    assert made.code == 0, made.err
    assert made.out.startswith(f"{FILE}: TaskVector('unnamed', layers 0–3, hidden=32")
    expected = icl.extract(llama, PAIRS, ["Kenya", "Cuba"])
    assert icl.TaskVector.load(FILE).vectors.equal(expected.vectors)
    applied = command("apply", FILE, "Spain", "Perú", "--layer", 2)
    assert applied.code == 0
    assert applied.err.startswith("Loading ") and applied.err.count("\n") == 1
    answers = icl.apply(llama, expected, ["Spain", "Perú"], layer=2)
    assert applied.out == "".join(f"{printable(answer)}\n" for answer in answers)


def test_a_task_gives_demonstrations_and_dummies_of_a_seed(command: Command) -> None:
    for name in ("country_capital", "letter_case_both"):
        command.tiny(f"extract --task {name} --seed 16 --shots 3 -o {FILE}")
        theta = icl.TaskVector.load(FILE)
        prompt = sample_prompts(icl.load_task(name), seed=16, dev=0, test=1, shots=3)[1][0]
        assert (theta.task, theta.seed) == (name, 16)
        assert (theta.demonstrations, theta.dummies) == (prompt.demonstrations, prompt.dummies)
    pairs = {letter: letter.upper() for letter in "abcdefghij"}
    Path("upper.json").write_text(json.dumps(pairs), "utf-8")
    assert command.tiny(f"extract --task-file upper.json -o {FILE}").code == 0
    theta = icl.TaskVector.load(FILE)
    assert (theta.task, len(theta.demonstrations), len(theta.dummies)) == ("upper", 5, 2)


def test_a_vector_of_a_sweep_names_its_best_layer(command: Command) -> None:
    command.tiny("sweep --tasks to_upper --dev 3 --test 3 -o run --quiet")
    file = "run/vectors/to_upper.seed41.safetensors"
    chosen = command("apply", file, "k")
    assert chosen.code == 0
    best = icl.TaskVector.load(file).best_layer
    assert chosen.out == command("apply", file, "k", "--layer", best).out


def test_vectors_of_a_method_are_extracted_and_applied(command: Command) -> None:
    made = command.tiny("extract --task to_upper --quiet -o v.st --method function --prompts 3")
    assert made.code == 0, made.err
    assert "heads " in made.out
    assert "method          function" in command("apply", "v.st", "--info").out
    assert len(command("apply", "v.st", "a", "b", "--quiet").out.splitlines()) == 2


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
    document = json.loads(command("apply", FILE, "--info", "--json").out)
    assert document["layers"] == [0, 1, 2, 3]
    assert document["norms"] == pytest.approx(theta.norms(), abs=1e-4)
    assert document["demonstrations"] == [list(pair) for pair in PAIRS.items()]


def test_a_control_vector_says_what_is_lost(command: Command, theta: icl.TaskVector) -> None:
    code, out, _ = command("apply", FILE, "--gguf", "theta.gguf")
    told = f"theta.gguf: a control vector with a direction for block 1, 2, 3\n{LOST}\n"
    assert (code, out) == (0, told)
    assert len(GGUFReader("theta.gguf").tensors) == 3
    code, out, _ = command("apply", FILE, "--gguf", "two.gguf", "--layer", "2,3", "--json")
    assert code == 0
    assert json.loads(out)["exported"] == {"gguf": "two.gguf", "layers": [2, 3], "lost": LOST}


def test_answers_are_those_of_python(command: Command, llama: Model, theta: icl.TaskVector) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("--layer 1,3", {"layer": [1, 3]}),
        ("--layer -1", {"layer": 3}),
        ("--layer 2 --mode add", {"layer": 2, "mode": "add"}),
        ("--layer 2 --scale 3", {"layer": 2, "scale": 3.0}),
        ("--layer 2 --max-new-tokens 3", {"layer": 2, "max_new_tokens": 3}),
    ]
    for arguments, options in cases:
        outcome = command("apply", FILE, "Spain", "Peru", *arguments.split(), "--json")
        assert outcome.code == 0, outcome.err
        found = json.loads(outcome.out)
        assert [one["query"] for one in found] == ["Spain", "Peru"]
        answers = icl.apply(llama, theta, ["Spain", "Peru"], **options)
        assert [one["answer"] for one in found] == answers


def test_the_likeliest_tokens_follow(command: Command, llama: Model, theta: icl.TaskVector) -> None:
    expected = icl.apply(llama, theta, ["Spain"], layer=1, top_k=3)
    shown = json.loads(command("apply", FILE, "Spain", "--layer", 1, "--top-k", 3, "--json").out)
    assert [one["token"] for one in shown[0]["top"]] == [token for token, _ in expected.top[0]]
    values = [one["probability"] for one in shown[0]["top"]]
    assert values == [stable(value) for _, value in expected.top[0]]
    plain = command("apply", FILE, "Spain", "--layer", 1, "--top-k", 3).out
    assert plain.count("\n") == 1 and f"{values[2]:.3f}" in plain


def test_another_models_vector_needs_force(command: Command, theta: icl.TaskVector) -> None:
    replace(theta, fingerprint="abc").save(FILE)
    code, out, err = command("apply", FILE, "Spain", "--layer", 1)
    assert (code, out) == (2, "")
    assert "fingerprint abc, found" in err and "--force" in err
    forced = command("apply", FILE, "Spain", "--layer", 1, "--force")
    theta.save(FILE)
    assert forced.code == 0 and forced.out == command("apply", FILE, "Spain", "--layer", 1).out
    assert command("apply", FILE, "--layer", 1, "--", "-5").code == 0, "-5 is a query"


def test_by_layer_is_a_table_of_python_s(
    command: Command, llama: Model, theta: icl.TaskVector
) -> None:
    queries = ["Spain", "Peru", "Chile", "Malta", "Nepal", "Ghana", "Kiribati", "Tuvalu", "Togo"]
    frame = icl.apply_by_layer(llama, theta, queries)
    rows = json.loads(command("apply", FILE, *queries, "--by-layer", "--json").out)
    assert [row["answer"] for row in rows] == list(frame["answer"])
    found = [row["probability"] for row in rows]
    assert found == pytest.approx(list(frame["probability"]), abs=1e-4)
    code, out, _ = command("apply", FILE, *queries, "--by-layer")
    assert code == 0 and max(map(len, out.splitlines())) <= 100
    heads = [line.split()[1:] for line in out.splitlines() if line.lstrip().startswith("layer")]
    assert len(heads) > 1 and sum(heads, []) == queries
    assert out.count("\n       3  ") == len(heads)
