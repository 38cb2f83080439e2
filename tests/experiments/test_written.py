import json
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.engine.results import Results
from icl_vectors.errors import IclVectorsError
from icl_vectors.models.load import Model
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.runs.files import read_lines
from icl_vectors.tasks.task import Task
from tests.benchmarks.random_model import word
from tests.experiments.compare import files_without_times
from tests.tiny import Tiny
from tests.twins import plain
from tests.twins.generate import generate
from tests.twins.prompts import dummy_ids, query_ids, regular_ids

SMALL: dict[str, Any] = {"dev": 5, "test": 6, "shots": 3, "answer": "generate"}
WORDS = Task.from_pairs("words", {word(i): (word(i % 5), word(i + 40)) for i in range(30)})
METHODS = ("baseline", "hypothesis", "regular")


def sweep(model: Model, tasks: Any, **options: Any) -> Results:
    return icl.sweep(model, tasks, **{**SMALL, **options})


def test_written_answers_are_those_of_plain_transformers(tiny: Tiny, tmp_path: Path) -> None:
    (entry,) = sweep(tiny.model, [WORDS], output=tmp_path).data["tasks"]
    layer = entry["best_layer"]
    prompts = sample_prompts(WORDS, dev=5, test=6, shots=3)[1]
    twins: Any = [
        {
            "demonstrations": [list(pair) for pair in one.demonstrations],
            "query": one.query,
            "answers": list(one.answers),
            "dummies": list(one.dummies),
        }
        for one in prompts
    ]
    eos: Any = tiny.tokenizer.eos_token_id
    ends = () if eos is None else (eos,)
    expected: dict[str, list[list[int]]] = {method: [] for method in METHODS}
    for one in twins:
        theta = plain.theta(tiny.plain, dummy_ids(tiny.tokenizer, one))[layer]
        alone, whole = query_ids(tiny.tokenizer, one), regular_ids(tiny.tokenizer, one)
        for method, ids, put_in in (
            ("baseline", alone, {}),
            ("hypothesis", alone, {layer: theta}),
            ("regular", whole, {}),
        ):
            (tokens,) = generate(tiny.plain, [ids], 8, put_in=put_in, ends=ends)
            expected[method].append(tokens)
    samples = [s for s in read_lines(tmp_path / "samples.jsonl") if s["split"] == "test"]
    for method in METHODS:
        written = [s for s in samples if s["method"] == method]
        texts = [
            str(tiny.tokenizer.decode(tokens, skip_special_tokens=True)).split("\n")[0].strip()
            for tokens in expected[method]
        ]
        assert [s["prediction"] for s in written] == texts
        right = [text in one.answers for text, one in zip(texts, prompts, strict=True)]
        assert entry[method]["accuracy"] == pytest.approx(sum(right) / len(right))
        assert [s["correct"] for s in written] == right


def test_the_first_tokens_are_those_of_the_other_mode(llama: Model) -> None:
    written = sweep(llama, "list_first", dev=4, test=9).data["tasks"][0]
    first = sweep(llama, "list_first", dev=4, test=9, answer="first-token").data["tasks"][0]
    assert written["dev_accuracy_by_layer"] == first["dev_accuracy_by_layer"]
    assert written["best_layer"] == first["best_layer"]
    for method in METHODS:
        assert written[method]["first_token"] == first[method]
        right = written[method]["first_token"]["accuracy"]
        wrong_later = written[method]["rest_wrong"]["accuracy"]
        assert written[method]["accuracy"] >= right - wrong_later - 1e-9
        assert written[method]["accuracy"] <= written[method]["prefix"]["accuracy"]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_batch_size_changes_no_answer(llama: Model, tmp_path: Path, batch_size: int) -> None:
    for name, size in (("auto", None), ("chosen", batch_size)):
        sweep(llama, "to_upper,country_capital", output=tmp_path / name, batch_size=size)
    one, other = (
        [(s["id"], s["method"], s["prediction"]) for s in read_lines(tmp_path / run)]
        for run in ("auto/samples.jsonl", "chosen/samples.jsonl")
    )
    assert one == other


def test_a_run_is_resumed_and_not_mixed_with_the_other_mode(llama: Model, tmp_path: Path) -> None:
    sweep(llama, "to_upper", output=tmp_path / "two")
    sweep(llama, "to_upper", output=tmp_path / "two")
    sweep(llama, "to_upper", output=tmp_path / "one")
    assert files_without_times(tmp_path / "one") == files_without_times(tmp_path / "two")
    with pytest.raises(IclVectorsError, match="answer: generate → first-token"):
        sweep(llama, "to_upper", output=tmp_path / "one", answer="first-token")


def test_what_was_compared_stands_in_run_json(llama: Model, tmp_path: Path) -> None:
    sweep(llama, "to_upper", output=tmp_path)
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    configuration = run["experiments"]["sweep"]["configuration"]
    assert configuration["answer"] == "generate"
    assert "equals an accepted one" in configuration["comparison"]


def test_an_unknown_mode_is_refused(llama: Model) -> None:
    with pytest.raises(IclVectorsError, match="unknown --answer 'generated'.* generate"):
        sweep(llama, "to_upper", answer="generated")
