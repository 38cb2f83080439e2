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

from icl_vectors.errors import IclVectorsError
from icl_vectors.graph.experiments import run_projection
from icl_vectors.graph.task import run_task
from icl_vectors.models.load import Model, as_model
from icl_vectors.prompts.batches import make_batches, whole_prompts
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.template import Template
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import build_tokenizer, random_prompts
from tests.families import FAMILIES, NotMade, save_family
from tests.tiny import N_TOKENS, load_plain
from tests.twins import plain
from tests.twins.blocks import count_layers, decoder_blocks
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
        projected: the most likely tokens of θ at each layer and their probabilities, (layer, top);
            None where θ can't be read as words.
        projected_by_hand: the same by the plain model's final norm and head.
        gives_tuple: whether blocks put out a tuple.
    """

    model: Model
    together: dict[str, Any]
    single: dict[str, Any]
    expected: Result
    projected: tuple[Tensor, Tensor] | None
    projected_by_hand: tuple[Tensor, Tensor]
    gives_tuple: bool


@cache
def check_family(family: str) -> Checked:
    """Run a family's tiny model both ways; the same family is run once."""
    with TemporaryDirectory() as place:
        folder, by_hand = _by_hand(family, Path(place) / family)
        tokenizer: Any = build_tokenizer(N_TOKENS)
        opened = TransformersModel(
            str(folder), task="text-generation", tokenizer=tokenizer, dispatch=True
        )
        model = as_model(opened)
    expected = plain.run(by_hand, tokenizer, DEV, TEST)
    theta = expected["theta"]
    ids = query_ids(tokenizer, DEV[0])
    last = count_layers(by_hand) - 1
    known = family in FAMILIES  # whose norm, scale and soft-cap are written out by hand
    said = (
        unembed(by_hand, theta)
        if known
        else torch.stack([plain.injected_logits(by_hand, ids, last, one) for one in theta])
    )
    by_hand_top = said.softmax(-1).topk(TOP, -1)
    return Checked(
        model=model,
        together=_run(model, len(DEV)),
        single=_run(model, 1),
        expected=expected,
        projected=_project(model, theta),
        projected_by_hand=(by_hand_top.values, by_hand_top.indices),
        gives_tuple=_gives_tuple(by_hand, ids),
    )


def _by_hand(family: str, folder: Path) -> tuple[Path, PreTrainedModel]:
    """A tiny model as a folder, and as plain transformers runs it on a few tokens of text."""
    save_family(family, folder)
    try:
        model = load_plain(folder)
        with torch.no_grad():
            model(input_ids=torch.tensor([[1, 7, 9, 3]]), use_cache=False)
    except Exception as error:  # transformers itself can't run what the rule made
        lines = str(error).strip().splitlines() or [""]
        raise NotMade(f"{type(error).__name__}: {lines[0][:100]}") from error
    return folder, model


def is_exact(checked: Checked) -> bool:
    """Whether every answer and θ are those of plain hooks on whole prompts."""
    together, expected = checked.together, checked.expected
    answers = [
        together["dev_swept"].T.tolist() == expected["dev_hypothesis"],
        together["test_answers"].T.tolist() == [expected["baseline"], expected["hypothesis"]],
        together["test_own"][:, 0].tolist() == expected["regular"],
    ]
    scale = float(expected["theta"].abs().max())
    apart = float((together["theta"] - expected["theta"]).abs().max())
    return all(answers) and apart <= 1e-4 * scale


def _run(model: Model, batch_size: int) -> dict[str, Any]:
    limit, way = positions_limit(model), model.way
    dev, test = (
        [encode_prompt(model.tokenizer, Template(), as_prompt(one), limit) for one in prompts]
        for prompts in (DEV, TEST)
    )
    on_dev = make_batches(dev, batch_size, way, with_query=False)
    return run_task(model, on_dev, make_batches(test, batch_size, way), range(model.n_layers))


def _project(model: Model, theta: Tensor) -> tuple[Tensor, Tensor] | None:
    queries = whole_prompts([query_ids(model.tokenizer, DEV[0])], model.way)
    try:
        found = run_projection(model, theta, queries, range(model.n_layers), TOP)
    except IclVectorsError:
        return None
    return found["theta"][0], found["theta"][1]


@torch.no_grad()
def _gives_tuple(model: PreTrainedModel, ids: list[int]) -> bool:
    seen: list[bool] = []
    block = decoder_blocks(model)[0]
    handle = block.register_forward_hook(
        lambda module, inputs, output: seen.append(isinstance(output, tuple))
    )
    model(input_ids=torch.tensor([ids]), use_cache=False)
    handle.remove()
    return seen[0]
