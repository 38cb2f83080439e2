import json
from pathlib import Path

import icl_vectors as icl
from icl_vectors.cli.terminal import printable
from icl_vectors.models.load import Model
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.tasks.task import load_task
from tests.cli.conftest import Command

DEMOS = [
    *("--demo", "France→Paris", "--demo", "Japan→Tokyo", "--demo", "Egypt → Cairo"),
    *("--dummy", "Kenya", "--dummy", "Cuba"),
]
PAIRS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo"}


def test_a_vector_is_extracted_and_applied(
    command: Command, place: Path, llama: Model, llama_folder: Path
) -> None:
    made = command("extract", "--model", llama_folder, *DEMOS, "-o", "theta.safetensors")
    assert made.code == 0, made.err
    assert made.out.startswith("theta.safetensors: TaskVector('unnamed', layers 0–3, hidden=32")
    theta = icl.TaskVector.load(place / "theta.safetensors")
    expected = icl.extract(llama, PAIRS, ["Kenya", "Cuba"])
    assert theta.vectors.equal(expected.vectors)
    applied = command("apply", "theta.safetensors", "Spain", "Perú", "--layer", 2)
    assert applied.code == 0
    assert applied.err.startswith("Loading ") and applied.err.count("\n") == 1
    answers = icl.apply(llama, expected, ["Spain", "Perú"], layer=2)
    assert applied.out == "".join(f"{printable(answer)}\n" for answer in answers)


def test_answers_as_json_keep_their_queries(command: Command, llama_folder: Path) -> None:
    command("extract", "--model", llama_folder, *DEMOS, "--layer", 1, "-o", "theta.safetensors")
    outcome = command("apply", "theta.safetensors", "Spain", "Italy", "--json")
    assert outcome.code == 0
    assert [one["query"] for one in json.loads(outcome.out)] == ["Spain", "Italy"]


def test_fewer_tokens_are_the_beginning_of_more(command: Command, llama_folder: Path) -> None:
    command("extract", "--model", llama_folder, *DEMOS, "--layer", -1, "-o", "t.safetensors")
    few = command("apply", "t.safetensors", "Spain", "--max-new-tokens", 2, "--json")
    many = command("apply", "t.safetensors", "Spain", "--max-new-tokens", 6, "--json")
    first, second = (json.loads(outcome.out)[0]["answer"] for outcome in (few, many))
    assert second.startswith(first.rstrip("\ufffd"))


def test_a_built_in_task_gives_demonstrations_and_dummies_of_a_seed(
    command: Command, place: Path, llama_folder: Path
) -> None:
    arguments = ["--task", "country_capital", "--seed", 7, "--shots", 3, "-o", "t.safetensors"]
    assert command("extract", "--model", llama_folder, *arguments).code == 0
    theta = icl.TaskVector.load(place / "t.safetensors")
    task = load_task("country_capital")
    prompt = sample_prompts(task, seed=7, dev=0, test=1, shots=3)[1][0]
    assert (theta.task, theta.seed) == ("country_capital", 7)
    assert theta.demonstrations == prompt.demonstrations
    assert theta.dummies == prompt.dummies


def test_a_task_file_gives_them_too(command: Command, place: Path, llama_folder: Path) -> None:
    pairs = {letter: letter.upper() for letter in "abcdefghij"}
    (place / "upper.json").write_text(json.dumps(pairs), "utf-8")
    arguments = ["--task-file", "upper.json", "-o", "t.safetensors"]
    assert command("extract", "--model", llama_folder, *arguments).code == 0
    theta = icl.TaskVector.load(place / "t.safetensors")
    assert theta.task == "upper"
    assert len(theta.demonstrations) == 5 and len(theta.dummies) == 2


def test_a_vector_of_a_sweep_names_its_best_layer(
    command: Command, place: Path, llama_folder: Path
) -> None:
    options = ["--tasks", "to_upper", "--dev", 3, "--test", 3, "-o", "run", "--quiet"]
    command("sweep", "--model", llama_folder, *options)
    file = "run/vectors/to_upper.seed41.safetensors"
    best = icl.TaskVector.load(place / file).best_layer
    chosen = command("apply", file, "k")
    assert chosen.code == 0
    assert chosen.out == command("apply", file, "k", "--layer", best).out
