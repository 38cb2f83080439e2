from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.runs.files import read_lines
from tests.benchmarks.random_model import word
from tests.tiny import Tiny
from tests.twins import plain
from tests.twins.generate import generate
from tests.twins.prompts import as_twin, dummy_ids, query_ids, regular_ids

SMALL: dict[str, Any] = {"dev": 5, "test": 6, "shots": 3, "answer": "generate"}
WORDS = icl.Task.from_pairs("words", {word(i): (word(i % 5), word(i + 40)) for i in range(30)})
METHODS = ("baseline", "hypothesis", "regular")


def sweep(model: icl.Model, tasks: Any, **options: Any) -> icl.Results:
    return icl.sweep(model, tasks, **{**SMALL, **options})


def test_written_answers_are_those_of_plain_transformers(tiny: Tiny, tmp_path: Path) -> None:
    (entry,) = sweep(tiny.model, [WORDS], output=tmp_path).data["tasks"]
    layer = entry["best_layer"]
    prompts = sample_prompts(WORDS, dev=5, test=6, shots=3)[1]
    twins = [as_twin(prompt) for prompt in prompts]
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


def test_the_first_tokens_are_those_of_the_other_mode(llama: icl.Model) -> None:
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
