from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.models.memory import (
    LARGEST_ON_CPU,
    WORK_ON_CPU,
    choose_batch_size,
    prompts_at_once,
)
from icl_vectors.prompts.batches import Way, make_batches
from icl_vectors.prompts.encoding import EncodedPrompt, encode_plain, encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from tests.families import random_of_family
from tests.tiny import bytes_tokenizer, load_plain, save_model
from tests.twins import plain

NUMBERS = icl.Task.from_pairs("numbers", {str(number): str(number + 1) for number in range(1000)})
LIMIT = 4096


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_of_family("llama", max_position_embeddings=LIMIT)
    return save_model(tmp_path_factory.mktemp("long"), model, bytes_tokenizer())


def encoded(model: icl.Model, shots: int, test: int) -> list[EncodedPrompt]:
    _, prompts = sample_prompts(NUMBERS, dev=1, test=test, shots=shots)
    return [encode_prompt(model.tokenizer, Template(), one, LIMIT) for one in prompts]


def test_theta_of_prompts_of_2000_tokens_is_that_of_plain_hooks(folder: Path) -> None:
    model, by_hand = icl.load_model(str(folder)), load_plain(folder)
    prompts = encoded(model, 270, 2)
    assert min(len(one.shared) for one in prompts) >= 2000
    found = run_many_thetas(model, make_batches(prompts, 2, Way(True)), None)
    for theta, one in zip(found, prompts, strict=True):
        dummies = [[*one.shared, *suffix] for suffix in one.suffixes[1:]]
        assert_close(theta, plain.theta(by_hand, dummies), rtol=1e-3, atol=1e-3)


def test_a_sweep_over_prompts_of_2000_tokens_ends(folder: Path) -> None:
    options: dict[str, Any] = {"shots": 270, "dev": 2, "test": 2, "layers": "1:3"}
    found = icl.sweep(icl.load_model(str(folder)), [NUMBERS], **options)
    assert torch.isfinite(found.vectors[("numbers", 41)].vectors).all()


def test_on_a_cpu_long_prompts_make_smaller_batches_of_the_same_bytes() -> None:
    free, weights = 1 << 40, 1 << 20
    for each in (10**6, 10**7, 4 * 10**7, 10**9):
        size = prompts_at_once(each, free, weights, False, 400)
        assert size * each <= max(WORK_ON_CPU, each)
        assert size == LARGEST_ON_CPU or (size + 1) * each > WORK_ON_CPU
    assert prompts_at_once(10**8, free, 28 * 10**9, False, 400) == LARGEST_ON_CPU
    assert prompts_at_once(10**7, 10**9, weights, True, 400) == 50, "a GPU: half of what is free"


def test_more_prompts_make_no_larger_batches(folder: Path) -> None:
    model = icl.load_model(str(folder))
    sizes = [choose_batch_size(model, encoded(model, 5, count)) for count in (50, 100, 400)]
    assert len(set(sizes)) == 1


SHORT = 40


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def short(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> icl.Model:
    """A model that takes 40 tokens, with learned positions or with rotary ones."""
    name = {"gpt2": "n_positions", "llama": "max_position_embeddings"}[request.param]
    model = random_of_family(request.param, **{name: SHORT})
    folder = save_model(tmp_path_factory.mktemp(request.param), model, bytes_tokenizer())
    return icl.load_model(str(folder))


def test_a_query_with_its_answer_fits_or_is_refused_before_anything_runs(short: icl.Model) -> None:
    theta = icl.extract(short, {"a": "b", "c": "d"}, ["e"])
    query = "q" * 20
    tokens = len(encode_plain(short.tokenizer, f"{query}→"))
    room = SHORT - tokens + 1  # the last token that is written is not read again
    options: dict[str, Any] = {"layer": 1, "return_logits": True}
    assert icl.apply(short, theta, [query], max_new_tokens=room, **options).logits is not None
    for asked, new in (([query], room + 1), (["e", "q" * SHORT], 1), (["e"], 200)):
        with pytest.raises(icl.IclVectorsError, match=f"expected at most {SHORT} in all"):
            icl.apply(short, theta, asked, max_new_tokens=new, **options)


def test_a_task_without_room_is_told(short: icl.Model, caplog: pytest.LogCaptureFixture) -> None:
    long = icl.Task.from_pairs("long", {f"{i}": f"{i}" * 10 for i in range(10, 24)})
    letters = icl.Task.from_pairs("letters", {chr(97 + i): chr(65 + i) for i in range(20)})
    options: dict[str, Any] = {"shots": 1, "dev": 2, "test": 30, "dummies": 1}
    found = icl.sweep(short, [long, letters], answer="generate", **options)
    assert [entry["task"] for entry in found.data["tasks"]] == ["letters"]
    assert f"to be written, expected at most {SHORT} in all" in found.failures[("long", 41)]
    assert "long (seed 41) was not run: prompt" in caplog.text
