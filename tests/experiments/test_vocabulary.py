import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from tests.experiments.conftest import Finished, run
from tests.listener import Listener
from tests.tiny import N_LAYERS, N_TOKENS, load_plain
from tests.twins import plain
from tests.twins.prompts import token_ids


@pytest.fixture
def folder(finished: Finished, tmp_path: Path) -> Path:
    """A copy of a sweep's folder whose best layers are 3 and 1."""
    copy = Path(shutil.copytree(finished("sweep of vocabulary"), tmp_path / "run"))
    results = read_json(copy / "results.json")
    for entry, best in zip(results["tasks"], (3, 1), strict=True):
        entry["best_layer"] = best
    (copy / "results.json").write_text(json.dumps(results), "utf-8")
    return copy


def vocabulary(model: Model, output: Path, **options: Any) -> list[dict[str, Any]]:
    return list(run("vocabulary", model, output, **options).data["vocabulary"])


def said_by_plain(model: Any, state: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.lm_head(model.model.norm(state))
    return logits.softmax(-1)  # (vocab,)


def baseline_state(llama: Model, model: Any, folder: Path, task: str, layer: int) -> Tensor:
    lines = [p for p in read_lines(folder / "prompts.jsonl") if p["split"] == "test"]
    texts = [f"{line['query']}→" for line in lines if line["task"] == task]
    assert len(texts) == 4
    states = [plain.states(model, token_ids(llama.tokenizer, text))[layer] for text in texts]
    return torch.stack(states).mean(0)


def expected_words(llama: Model, values: Tensor, top: int, raw: bool) -> list[tuple[str, float]]:
    texts = [llama.tokenizer.decode([token]) for token in range(N_TOKENS)]
    order = values.argsort(descending=True, stable=True).tolist()
    kept = [token for token in order if raw or texts[token].strip().isalpha()]
    return [(texts[token], float(values[token])) for token in kept[:top]]


def pairs(tokens: Sequence[dict[str, Any]], key: str) -> list[tuple[str, float]]:
    assert all(set(token) == {"token", key} for token in tokens)
    return [(token["token"], token[key]) for token in tokens]


def test_by_default_the_best_block_and_two_above_it(llama: Model, folder: Path) -> None:
    found = vocabulary(llama, folder)
    blocks = [(one["task"], one["layer"]) for one in found]
    assert blocks == [("to_upper", 3), ("list_first", 3), ("list_first", 1)], "none above the last"
    assert read_json(folder / "results.json")["vocabulary"] == found
    keys = {"task", "layer", "tokens", "baseline", "added", "in_outputs", "n"}
    assert all(set(one) == keys and len(one["tokens"]) == 6 for one in found)


@pytest.mark.parametrize("raw", [False, True])
def test_words_are_plain_pytorch_s(
    llama: Model, llama_folder: Path, folder: Path, raw: bool
) -> None:
    found = vocabulary(llama, folder, raw=raw)
    model = load_plain(llama_folder)
    for one in found:
        theta = icl.TaskVector.load(folder / "vectors" / f"{one['task']}.seed41.safetensors")
        said = said_by_plain(model, theta.at(one["layer"]))
        plainly = said_by_plain(
            model, baseline_state(llama, model, folder, one["task"], one["layer"])
        )
        for name, key, values in (
            ("tokens", "probability", said),
            ("baseline", "probability", plainly),
            ("added", "difference", said - plainly),
        ):
            listed = pairs(one[name], key)
            expected = expected_words(llama, values, 6, raw)
            assert [text for text, _ in listed] == [text for text, _ in expected]
            shown, wanted = [v for _, v in listed], [v for _, v in expected]
            assert shown == pytest.approx(wanted, rel=6e-4)
            assert shown == sorted(shown, reverse=True)


def test_raw_tokens_are_no_words_of_letters(llama: Model, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    raw = vocabulary(llama, folder, raw=True, top=40, layer=1)
    assert any(not token["token"].strip().isalpha() for token in raw[0]["tokens"])
    words = vocabulary(llama, copy, top=40, layer=1)
    assert all(token["token"].strip().isalpha() for token in words[0]["tokens"])
    assert words[0]["tokens"] != raw[0]["tokens"]


def test_the_share_in_outputs_is_that_of_the_samples(llama: Model, folder: Path) -> None:
    samples = read_lines(folder / "samples.jsonl")
    first = vocabulary(llama, folder, layer=-1, top=400, raw=True)
    for one in first:
        answered = {
            sample["prediction"].strip().casefold()
            for sample in samples
            if (sample["task"], sample["split"]) == (one["task"], "test")
            and sample["method"] in ("hypothesis", "regular")
        }
        shown = [token["token"].strip().casefold() for token in one["tokens"]]
        expected = sum(text in answered for text in shown) / len(shown)
        assert one["in_outputs"] == pytest.approx(expected)
        assert 0 < one["in_outputs"] < 1


def test_more_tokens_than_there_are_give_all_of_them(llama: Model, folder: Path) -> None:
    found = vocabulary(llama, folder, layer=-4, top=N_TOKENS + 600, raw=True)
    assert [(one["layer"], len(one["tokens"])) for one in found] == [(0, N_TOKENS)] * 2
    assert sum(token["probability"] for token in found[0]["tokens"]) == pytest.approx(1, abs=1e-4)


def test_without_a_sweep_it_sweeps_first_and_says_so(llama: Model, tmp_path: Path) -> None:
    listener = Listener()
    found = vocabulary(llama, tmp_path, observer=listener)
    assert listener.logged[0].startswith(f"Sweeping in {tmp_path} first")
    assert listener.lines[-1].startswith("list_first: layer ")
    best = {e["task"]: e["best_layer"] for e in read_json(tmp_path / "results.json")["tasks"]}
    for task, layer in best.items():
        layers = [one["layer"] for one in found if one["task"] == task]
        assert layers == list(dict.fromkeys([min(layer + 2, N_LAYERS - 1), layer]))


def test_a_vector_of_another_model_is_refused(llama: Model, folder: Path) -> None:
    file = folder / "vectors" / "to_upper.seed41.safetensors"
    theta = icl.TaskVector.load(file)
    replace(theta, fingerprint="another").save(file)
    with pytest.raises(icl.IclVectorsError, match="this task vector belongs to"):
        vocabulary(llama, folder)
