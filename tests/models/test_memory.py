from collections.abc import Callable
from typing import Any

import pytest
import torch

from icl_vectors.errors import RunError
from icl_vectors.experiments.sweep import sweep
from icl_vectors.models import memory
from icl_vectors.models.load import Model
from icl_vectors.models.memory import choose_batch_size, peak_bytes, with_smaller_batches
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import load_task
from tests.listener import Listener

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


def fits(largest: int, error: Exception, seen: list[int]) -> Callable[[int], str]:
    def run(batch_size: int) -> str:
        seen.append(batch_size)
        if batch_size > largest:
            raise error
        return "done"

    return run


def encoded(model: Model, n: int) -> list[EncodedPrompt]:
    prompts = sample_prompts(load_task("list_first"), test=n)[1]
    return [encode_prompt(model.tokenizer, Template(), one, 2048) for one in prompts]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_batches_are_halved_until_they_fit_and_it_is_told(error: Exception) -> None:
    seen: list[int] = []
    logged: list[str] = []
    assert with_smaller_batches(fits(3, error, seen), 25, logged.append) == ("done", 3)
    assert seen == [25, 12, 6, 3]
    assert logged == [
        f"Out of memory: retrying with batches of {size} prompts." for size in (12, 6, 3)
    ]


def test_a_batch_that_fits_is_left_as_it_is() -> None:
    logged: list[str] = []
    assert with_smaller_batches(fits(9, MemoryError(), []), 9, logged.append) == ("done", 9)
    assert not logged


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_not_even_one_prompt_is_an_error_of_the_run(error: Exception) -> None:
    with pytest.raises(RunError, match="out of memory with a single prompt; try --dtype"):
        with_smaller_batches(fits(0, error, []), 2, lambda text: None)


def test_other_errors_are_not_taken_for_memory() -> None:
    seen: list[int] = []
    with pytest.raises(RuntimeError, match="shape"):
        with_smaller_batches(fits(0, RuntimeError("bad shape"), seen), 8, lambda text: None)
    assert seen == [8]


def test_batches_go_by_prompts_and_device(llama: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda model: 1 << 40)
    assert choose_batch_size(llama, encoded(llama, 3)) == 3
    assert choose_batch_size(llama, encoded(llama, 40)) == memory.LARGEST_ON_CPU


def test_less_memory_makes_smaller_batches(llama: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, sizes = encoded(llama, 40), []
    need = memory._bytes_per_prompt(llama, prompts)
    for share in (0.0, 0.4, 2.5, 7.0):
        free = int(share * need / memory.SHARE_OF_FREE) + 1
        monkeypatch.setattr(memory, "free_bytes", lambda model, free=free: free)
        sizes.append(choose_batch_size(llama, prompts))
    assert sizes == [1, 1, 2, 7]


def test_free_and_peak_memory_are_plausible(llama: Model) -> None:
    assert 1 << 20 < memory.free_bytes(llama) < 1 << 44
    assert 1 << 26 < peak_bytes(llama) < 1 << 40


def test_memory_that_runs_out_is_noticed(llama: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = run_with_little_memory(llama, monkeypatch, rows=11)
    assert logged == [
        "Out of memory: retrying with batches of 4 prompts.",
        "Out of memory: retrying with batches of 2 prompts.",
    ]


def run_with_little_memory(model: Model, monkeypatch: pytest.MonkeyPatch, rows: int) -> list[str]:
    """Sweep once as always, once with a model that takes few rows; the results are the same."""

    options: dict[str, Any] = {"tasks": "list_first", "dev": 8, "test": 8, "batch_size": 8}
    listener, expected = Listener(), sweep(model, **options)
    embedding = model.nnsight._module.get_input_embeddings()
    forward = embedding.forward

    def limited(ids: torch.Tensor) -> Any:
        if len(ids) > rows:
            raise torch.OutOfMemoryError("out of memory")
        return forward(ids)

    monkeypatch.setattr(embedding, "forward", limited)
    assert sweep(model, **options, observer=listener).data == expected.data
    return listener.logged
