"""A model without weights, whose traces a server runs; and the first job, which tells its dtype."""

from typing import Any

import torch
from nnsight import TransformersModel
from nnsight.modeling import huggingface


def open_on_meta(source: str, repo_id: str, tokenizer: Any, options: dict[str, Any]) -> Any:
    """The model's modules on the meta device, named as the server names it.

    nnsight would ask the hub for the canonical id; the server has already said it.
    """
    huggingface._ID_CACHE[source] = repo_id
    return TransformersModel(
        source, task="text-generation", tokenizer=tokenizer, dispatch=False, **options
    )


def served_dtype(session: Any, language_model: Any, blocks: list[Any]) -> str:
    """The dtype of the states on the server, from one token through the model."""
    first = blocks[0]
    with session:
        with torch.no_grad():
            with language_model.trace({"input_ids": torch.zeros(1, 1, dtype=torch.long)}):
                output = first.output
                state = output[0] if isinstance(output, tuple) else output
            found: Any = {"state": state[:, -1].detach().clone()}
            found = found.save()
    return str(found["state"].dtype).removeprefix("torch.")
