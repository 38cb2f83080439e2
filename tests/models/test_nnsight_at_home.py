from copy import deepcopy
from typing import Any

import pytest
import torch
from nnsight import TransformersModel
from torch.testing import assert_close

import icl_vectors as icl
from tests.benchmarks.random_model import word
from tests.tiny import Tiny

PAIRS = {word(i): word(i + 100) for i in range(5)}
DUMMIES = [word(20), word(21)]
QUERY = word(30)


def opened(tiny: Tiny) -> Any:
    """The tiny model as a user of nnsight opens it."""
    return TransformersModel(
        str(tiny.folder), task="text-generation", device_map="cpu", dispatch=True
    )


def what_may_not_change(model: Any) -> dict[str, Any]:
    module, tokenizer = model._module, model.tokenizer
    return {
        "weights": {name: value.clone() for name, value in module.state_dict().items()},
        "hooks": sum(
            len(one._forward_hooks) + len(one._forward_pre_hooks) + len(one._backward_hooks)
            for one in module.modules()
        ),
        "training": module.training,
        "gradients": [one.requires_grad for one in module.parameters()],
        "dtype": module.dtype,
        "tokenizer": (
            tokenizer.padding_side,
            tokenizer.truncation_side,
            tokenizer.pad_token,
            tokenizer.eos_token,
            deepcopy(tokenizer.special_tokens_map),
            len(tokenizer),
        ),
        "generation": module.generation_config.to_dict(),
    }


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_model_that_the_user_opened_is_left_as_it_was(tiny: Tiny, side: str) -> None:
    model = opened(tiny)
    model.tokenizer.padding_side = side
    before = what_may_not_change(model)
    theta = icl.extract(model, PAIRS, DUMMIES)
    icl.apply(model, theta, [QUERY, f"{QUERY}_{QUERY}"], layer=1, max_new_tokens=3)
    icl.apply(model, theta, [QUERY], layer=[1, 2], mode="add", top_k=3)
    after = what_may_not_change(model)
    weights = before.pop("weights"), after.pop("weights")
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert before == after


def test_theta_is_used_in_the_users_own_trace(tiny: Tiny) -> None:
    model = opened(tiny)
    theta = icl.extract(model, PAIRS, DUMMIES)
    block = model.get(icl.load_model(str(tiny.folder)).architecture.blocks[2])
    with model.trace(f"{QUERY}→"):
        output = block.output
        state = output[0] if isinstance(output, tuple) else output
        state[:, -1] = theta.at(2)
        logits = model.lm_head.output[:, -1].save()
    expected = icl.apply(model, theta, QUERY, layer=2, return_logits=True).logits
    assert expected is not None
    assert_close(logits.detach(), expected, rtol=1e-5, atol=1e-5)


def test_two_lines_are_enough_where_blocks_give_a_tensor(llama: icl.Model) -> None:
    model = llama.nnsight
    theta = icl.extract(model, PAIRS, DUMMIES)
    with model.trace(f"{QUERY}→"):
        model.model.layers[2].output[:, -1] = theta.at(2)
        logits = model.lm_head.output[:, -1].save()
    expected = icl.apply(model, theta, QUERY, layer=2, return_logits=True).logits
    assert expected is not None
    assert_close(logits.detach(), expected, rtol=1e-5, atol=1e-5)
