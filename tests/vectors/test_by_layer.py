from dataclasses import replace
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.vectors import by_layer
from tests.benchmarks.random_model import word
from tests.tiny import N_LAYERS, Tiny
from tests.twins import plain
from tests.twins.blocks import watched
from tests.twins.prompts import token_ids

PAIRS = {word(i): word(i + 100) for i in range(5)}
DUMMIES = [word(20), f"{word(21)}_{word(22)}"]
QUERIES = [word(30), f"{word(31)}_{word(32)}", f"{word(33)}_{word(34)}_{word(35)}"]


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_every_cell_is_what_plain_hooks_answer(tiny: Tiny, mode: Any) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES)
    frame = icl.apply_by_layer(tiny.model, theta, QUERIES, mode=mode, scale=1.5, top_k=3)
    shown = "".join(f"{input}→{output}\n" for input, output in PAIRS.items())

    def likeliest(text: str, layer: int | None = None) -> tuple[int, list[float]]:
        def put(block: int, state: Any) -> None:
            if block == layer:
                vector = 1.5 * theta.vectors[layer]
                state[:, -1] = vector + (state[:, -1] if mode == "add" else 0)

        with watched(tiny.plain, put):
            logits = plain.logits(tiny.plain, token_ids(tiny.tokenizer, text))
        found = logits.softmax(-1).topk(3)
        return int(found.indices[0]), found.values.tolist()

    own = {likeliest(f"{shown}{dummy}→")[0] for dummy in DUMMIES}
    cells = iter(frame.to_dict("records"))
    for query in QUERIES:
        regular, baseline = likeliest(f"{shown}{query}→"), likeliest(f"{query}→")
        for layer in range(N_LAYERS):
            cell = next(cells)
            token, probabilities = likeliest(f"{query}→", layer)
            text = str(tiny.tokenizer.decode([token]))
            assert (cell["query"], cell["layer"]) == (query, layer)
            assert cell["answer"] == text.strip() and cell["top"][0][0] == text
            assert [value for _, value in cell["top"]] == pytest.approx(probabilities, abs=1e-5)
            assert cell["probability"] == cell["top"][0][1]
            assert cell["equals_regular"] == (token == regular[0])
            assert cell["copies_dummy"] == (token in own)
            assert cell["echo"] == (text.strip() == query.split("_")[0])
            for name, (its_token, its_values) in {"regular": regular, "baseline": baseline}.items():
                assert cell[name] == str(tiny.tokenizer.decode([its_token])).strip()
                assert cell[f"{name}_probability"] == pytest.approx(its_values[0], abs=1e-5)
    assert next(cells, None) is None


def test_it_agrees_with_apply_in_small_batches(
    llama: icl.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_layer, "LARGEST_ON_CPU", 0)  # one query at once
    theta = icl.extract(llama, {"France": "Paris", "Japan": "Tokyo"}, ["Kenya", "Cuba"])
    queries = ["Spain", "Peru", "Spain"]
    frame = icl.apply_by_layer(llama, theta, queries, layers="1:3", top_k=2)
    assert list(frame["layer"]) == [1, 2] * 3
    for layer, rows in frame.groupby("layer"):
        top = icl.apply(llama, theta, queries, layer=int(str(layer)), top_k=2).top
        found, expected = ([[text for text, _ in one] for one in of] for of in (rows["top"], top))
        assert found == expected
        values = [value for one in rows["top"] for _, value in one]
        assert values == pytest.approx([value for one in top for _, value in one], abs=1e-6)


def test_where_no_demonstrations_are_kept_nothing_is_known_of_them(llama: icl.Model) -> None:
    theta = icl.extract(llama, {"a": "A", "b": "B"}, ["c"])
    mean = icl.TaskVector.mean([theta, theta])
    known, unknown = (icl.apply_by_layer(llama, one, ["d", "e"]) for one in (theta, mean))
    columns = ["equals_regular", "copies_dummy", "regular", "regular_probability"]
    assert known[columns].notna().all(axis=None) and unknown[columns].isna().all(axis=None)
    assert list(known["answer"]) == list(unknown["answer"])
    assert list(known["baseline"]) == list(unknown["baseline"])


def test_what_can_not_be_done_is_said_in_one_line(llama: icl.Model) -> None:
    theta = icl.extract(llama, {"a": "A", "b": "B"}, ["c"])
    everywhere: Any = replace(theta, method="icv")
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((everywhere, ["d"]), {}, "found one of the method icv"),
        ((None, ["d"]), {}, "expected a task vector, found NoneType"),
        ((theta, ["d\ne"]), {}, "expected one line"),
        ((theta.only([1]), ["d"]), {"layers": [2]}, "this task vector holds the layers 1"),
        ((theta, ["d"]), {"scale": float("nan")}, "expected a finite number"),
        ((replace(theta, fingerprint="x"), ["d"]), {}, "belongs to"),
    ]
    for given, options, message in cases:
        with pytest.raises(icl.IclVectorsError, match=message) as raised:
            icl.apply_by_layer(llama, *given, **options)
        assert "\n" not in str(raised.value)
