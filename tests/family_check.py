"""One family through nnsight and through plain PyTorch hooks: what each found, side by side."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from nnsight import TransformersModel
from torch import Tensor
from transformers import PreTrainedModel

from icl_vectors.batches import make_batches, whole_prompts
from icl_vectors.encoding import encode_prompt
from icl_vectors.graph import run_task
from icl_vectors.graph_of_experiments import run_projection
from icl_vectors.limits import positions_limit
from icl_vectors.models import Model, as_model
from icl_vectors.templates import Template
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import build_tokenizer, random_prompts
from tests.families import save_family
from tests.tiny import N_LAYERS, N_TOKENS, load_plain
from tests.twins import plain
from tests.twins.blocks import decoder_blocks
from tests.twins.cache import CACHE
from tests.twins.prompts import query_ids
from tests.twins.result import Result
from tests.twins.unembed import unembed

DEV = random_prompts(4, n_tokens=N_TOKENS, seed=2)
TEST = random_prompts(4, n_tokens=N_TOKENS, seed=3)
TOP = 5


@dataclass(frozen=True)
class Checked:
    """What the package and its twin found on one tiny random model.

    Attributes:
        together, single: `run_task` in one padded batch, and one prompt at a time.
        expected: the same by plain PyTorch hooks, without cache or padding.
        projected: the most likely tokens of θ at each layer and their probabilities, (layer, top).
        projected_by_hand: the same by the plain model's final norm and head.
        gives_tuple: whether blocks put out a tuple.
        shared_heads: attention heads whose keys are kept.
        tied: whether the head is the embedding.
    """

    model: Model
    together: dict[str, Any]
    single: dict[str, Any]
    expected: Result
    projected: tuple[Tensor, Tensor]
    projected_by_hand: tuple[Tensor, Tensor]
    gives_tuple: bool
    shared_heads: int
    tied: bool


@cache
def check_family(family: str) -> Checked:
    """Run a family's tiny model both ways; the same family is run once."""
    with TemporaryDirectory() as place:
        folder = save_family(family, Path(place) / family)
        tokenizer: Any = build_tokenizer(N_TOKENS)
        opened = TransformersModel(
            str(folder), task="text-generation", tokenizer=tokenizer, dispatch=True
        )
        model, by_hand = as_model(opened), load_plain(folder)
    expected = plain.run(by_hand, tokenizer, DEV, TEST)
    theta = expected["theta"]
    by_hand_top = unembed(by_hand, theta).softmax(-1).topk(TOP, -1)
    ids = query_ids(tokenizer, DEV[0])
    return Checked(
        model=model,
        together=_run(model, len(DEV)),
        single=_run(model, 1),
        expected=expected,
        projected=_project(model, theta),
        projected_by_hand=(by_hand_top.values, by_hand_top.indices),
        gives_tuple=_gives_tuple(by_hand, ids),
        shared_heads=_shared_heads(by_hand, ids),
        tied=_is_tied(by_hand),
    )


def _run(model: Model, batch_size: int) -> dict[str, Any]:
    limit, positions = positions_limit(model), model.way
    dev, test = (
        [encode_prompt(model.tokenizer, Template(), as_prompt(one), limit) for one in prompts]
        for prompts in (DEV, TEST)
    )
    on_dev = make_batches(dev, batch_size, positions, with_query=False)
    return run_task(model, on_dev, make_batches(test, batch_size, positions), range(N_LAYERS))


def _project(model: Model, theta: Tensor) -> tuple[Tensor, Tensor]:
    positions = model.way
    queries = whole_prompts([query_ids(model.tokenizer, DEV[0])], positions)
    found = run_projection(model, theta, queries, range(N_LAYERS), TOP)
    return found["theta"][0], found["theta"][1]


@torch.no_grad()
def _gives_tuple(model: PreTrainedModel, ids: list[int]) -> bool:
    seen: list[bool] = []
    block = decoder_blocks(model)[0]
    handle = block.register_forward_hook(
        lambda module, inputs, output: seen.append(isinstance(output, tuple))
    )
    model(input_ids=torch.tensor([ids]))
    handle.remove()
    return seen[0]


@torch.no_grad()
def _shared_heads(model: PreTrainedModel, ids: list[int]) -> int:
    cache = getattr(model(input_ids=torch.tensor([ids]), use_cache=True), CACHE)
    return int(cache.layers[0].keys.shape[1])  # (batch, head, token, size)


def _is_tied(model: Any) -> bool:
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight
