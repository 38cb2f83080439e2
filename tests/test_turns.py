import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.discovery import experiment_names
from tests.tiny import Tiny

LETTERS = "abcdefghijklmnopqrstuvwx"


def demonstrations(number: int) -> dict[str, str]:
    shown = LETTERS[number : number + 4]
    return {letter: letter.upper() for letter in shown}


@pytest.mark.parametrize("tiny", ["gpt2", "gemma3"], indirect=True)
def test_calls_from_many_threads_give_what_turns_give(tiny: Tiny, llama: icl.Model) -> None:
    def work(number: int) -> Any:
        model = (llama, tiny.model)[number % 2]
        theta = icl.extract(model, demonstrations(number % 12), ["y"])
        return theta.vectors, icl.apply(model, theta, ["z", "y"], layer=2)

    expected = [work(number) for number in range(24)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(work, range(24)))
    for (theta, answers), (its_theta, its_answers) in zip(expected, found, strict=True):
        assert torch.equal(theta, its_theta)
        assert answers == its_answers


def test_calls_from_asyncio_and_a_sweep_beside_them_are_right(llama: icl.Model) -> None:
    counts: dict[str, Any] = {"shots": 2, "dev": 3, "test": 4}
    expected = icl.sweep(llama, "to_upper", **counts).data["tasks"]
    theta = icl.extract(llama, demonstrations(0), ["y"])

    async def both() -> list[Any]:
        sweep = asyncio.to_thread(icl.sweep, llama, "to_upper", **counts)
        extracts = [
            asyncio.to_thread(icl.extract, llama, demonstrations(0), ["y"]) for _ in range(6)
        ]
        return await asyncio.gather(sweep, *extracts)

    swept, *thetas = asyncio.run(both())
    assert swept.data["tasks"] == expected
    assert all(torch.equal(one.vectors, theta.vectors) for one in thetas)


def test_tab_completion_shows_the_public_names_alone() -> None:
    assert dir(icl) == sorted({*icl.__all__, *experiment_names()})
