import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.prompts.sampling import sample_prompts
from tests.benchmarks.random_model import word
from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS, Tiny
from tests.twins import plain
from tests.twins.blocks import watched
from tests.twins.generate import generate
from tests.twins.prompts import token_ids

PAIRS = {word(i): word(i + 100) for i in range(5)}
DUMMIES = [word(20), f"{word(21)}_{word(22)}"]
QUERIES = [word(30), f"{word(31)}_{word(32)}", f"{word(33)}_{word(34)}_{word(35)}"]


def logits_of(model: Any, theta: icl.TaskVector | None, **options: Any) -> Tensor:
    logits = icl.apply(model, theta, QUERIES, return_logits=True, **options).logits
    assert logits is not None
    return logits  # (query, vocab)


def test_adding_at_several_layers_with_a_scale_is_that_of_hooks(tiny: Tiny) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES)
    found = logits_of(tiny.model, theta, layer=[1, 3], mode="add", scale=0.7)
    for query, logits in zip(QUERIES, found, strict=True):

        def add(layer: int, state: Tensor) -> None:
            if layer in (1, 3):
                state[:, -1] += 0.7 * theta.vectors[layer]

        ids = token_ids(tiny.tokenizer, f"{query}→")
        with watched(tiny.plain, add):
            expected = plain.logits(tiny.plain, ids)
        assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_answers_of_many_tokens_with_theta_added_are_those_of_generate(tiny: Tiny) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES)
    found = icl.apply(tiny.model, theta, QUERIES, layer=2, mode="add", max_new_tokens=6)
    rows = [token_ids(tiny.tokenizer, f"{query}→") for query in QUERIES]
    written = generate(tiny.plain, rows, 6, put_in={2: theta.vectors[2]}, added=True)
    texts = [str(tiny.tokenizer.decode(row, skip_special_tokens=True)) for row in written]
    assert found == [text.split("\n")[0].strip() for text in texts]


def test_the_scale_multiplies_theta(llama: icl.Model) -> None:
    theta = icl.extract(llama, PAIRS, DUMMIES)
    twice = logits_of(llama, theta, layer=1, scale=2)
    assert torch.equal(twice, logits_of(llama, 2 * theta, layer=1))
    plain_logits = logits_of(llama, None)
    assert_close(logits_of(llama, theta, layer=1, mode="add", scale=0), plain_logits)
    assert not torch.allclose(logits_of(llama, theta, layer=1, mode="add"), plain_logits)


def test_the_likeliest_tokens_are_those_of_the_logits(llama: icl.Model) -> None:
    theta = icl.extract(llama, PAIRS, DUMMIES)
    found = icl.apply(llama, theta, QUERIES, layer=1, top_k=4, return_logits=True)
    assert found.logits is not None
    values, tokens = found.logits.softmax(-1).topk(4)
    for row, top in enumerate(found.top):
        assert [token for token, _ in top] == [llama.tokenizer.decode([t]) for t in tokens[row]]
        assert [value for _, value in top] == pytest.approx(values[row].tolist())
    assert list(found.texts) == icl.apply(llama, theta, QUERIES, layer=1)
    assert found.logits.shape == (3, N_TOKENS) and found.queries == tuple(QUERIES)


def test_the_batch_size_changes_no_answer(llama: icl.Model) -> None:
    theta, many = icl.extract(llama, PAIRS, DUMMIES), [word(i) for i in range(60)]
    whole = icl.apply(llama, theta, many, layer=1)
    for size in (1, 2, 50):
        assert icl.apply(llama, theta, many, layer=1, batch_size=size) == whole


TASK = icl.Task.from_pairs("words", {word(i): word(i + 100) for i in range(30)})


def test_a_task_gives_demonstrations_and_dummies(llama: icl.Model) -> None:
    theta = icl.extract(llama, TASK, shots=3)
    assert (theta.task, theta.seed, len(theta.demonstrations)) == ("words", 41, 3)
    pairs = dict(theta.demonstrations)
    again = icl.extract(llama, pairs, theta.dummies)
    assert torch.equal(theta.vectors, again.vectors)
    given = icl.extract(llama, TASK, [word(0), word(1)], seed=3)
    assert given.dummies == (word(0), word(1))
    assert not {word(0), word(1)} & dict(given.demonstrations).keys()


def test_many_prompts_give_their_mean(llama: icl.Model) -> None:
    many = icl.extract(llama, TASK, prompts=7, seed=5)
    assert many.made_by == "mean over 7 prompts of 5 demonstrations"
    assert many.demonstrations == () == many.dummies
    prompts = sample_prompts(TASK, seed=5, dev=0, test=7)[1]
    each = [icl.extract(llama, dict(one.demonstrations), one.dummies) for one in prompts]
    assert_close(many.vectors, icl.TaskVector.mean(each).vectors, rtol=1e-5, atol=1e-5)


def test_a_vector_in_another_process_gives_the_same_bits(llama: icl.Model, tmp_path: Path) -> None:
    assert llama.folder is not None
    theta = icl.extract(llama, PAIRS, DUMMIES)
    theta.save(tmp_path / "theta.safetensors")
    torch.save(logits_of(llama, theta, layer=2), tmp_path / "expected.pt")
    program = (
        "import sys, torch, icl_vectors as icl\n"
        "torch.set_num_threads(1)\n"
        "model = icl.load_model(sys.argv[1])\n"
        "theta = icl.TaskVector.load('theta.safetensors')\n"
        f"found = icl.apply(model, theta, {QUERIES!r}, layer=2, return_logits=True)\n"
        "print(torch.equal(found.logits, torch.load('expected.pt')))\n"
    )
    command = [sys.executable, "-c", program, str(llama.folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_another_models_vector_is_refused_by_name_and_taken_by_force(llama: icl.Model) -> None:
    theta = icl.extract(llama, PAIRS, DUMMIES)
    other = replace(theta, fingerprint="abc", model="some/model", revision="v2")
    with pytest.raises(icl.IclVectorsError) as raised:
        icl.apply(llama, other, QUERIES, layer=1)
    message = str(raised.value)
    assert message.startswith(f"this task vector belongs to some/model, found {llama.reference} (")
    assert f"fingerprint abc, found {llama.fingerprint}" in message
    assert "revision v2, found None" in message and "hidden size" not in message
    assert "use force=True (--force)" in message and "\n" not in message
    forced = icl.apply(llama, other, QUERIES, layer=1, force=True)
    assert forced == icl.apply(llama, theta, QUERIES, layer=1)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("vectors", "layers", "message"),
    [
        (torch.zeros(1, HIDDEN + 1), (1,), f"hidden size {HIDDEN + 1}, found {HIDDEN}"),
        (torch.zeros(1, HIDDEN), (N_LAYERS,), f"block {N_LAYERS}, found {N_LAYERS} blocks"),
    ],
)
def test_a_vector_of_another_shape_is_never_taken(
    llama: icl.Model, force: bool, vectors: Tensor, layers: tuple[int, ...], message: str
) -> None:
    theta = replace(icl.extract(llama, PAIRS, DUMMIES), vectors=vectors, layers=layers)
    with pytest.raises(icl.IclVectorsError, match=f"{message}.*the shapes differ"):
        icl.apply(llama, theta, QUERIES, force=force)


def test_answers_draw_themselves_in_a_notebook(llama: icl.Model) -> None:
    theta = icl.extract(llama, PAIRS, DUMMIES)
    found = icl.apply(llama, theta, ["a<b"], layer=1, top_k=2)
    page = found._repr_html_()
    assert page.startswith("<table>") and "a&lt;b" in page and "a<b" not in page
    assert all(f"{value:.3f}" in page for _, value in found.top[0])
    shown = theta._repr_html_()
    assert "norm by layer" in shown and f"3: {theta.norms()[3]:.1f}" in shown
