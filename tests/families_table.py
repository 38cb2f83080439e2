"""The table of docs/architectures.md, from what the families' tiny models give.

usage: python -m tests.families_table
"""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from tests.families import FAMILIES, REFUSED
from tests.family_check import Checked, check_family

DOCUMENT = Path(__file__).parents[1] / "docs" / "architectures.md"
BEGIN, END = "<!-- families -->\n", "<!-- end of families -->\n"
HEAD = (
    "| family | attention | experts | head | blocks | give | `position_ids` | "
    "sweep = naive | batch = single | projection |"
)


def rendered() -> str:
    """The document with its table as it should be."""
    before, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


def table() -> str:
    """Families that are exact, then those that are refused."""
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|"]
    lines += [_row(family, check_family(family)) for family in FAMILIES]
    refused = ", ".join(f"`{family}` ({reason})" for family, (_, reason) in REFUSED.items())
    return (
        "\n".join(lines)
        + f"\n\n{made_with()}\n\nRefused in one line, before any weight is loaded: {refused}.\n"
    )


def made_with() -> str:
    """The version that decides what a block gives."""
    return f"Made with transformers {'.'.join(version('transformers').split('.')[:2])}."


def _row(family: str, checked: Checked) -> str:
    architecture, config = checked.model.architecture, checked.model.config
    cells = [
        f"`{family}`",
        ", ".join(_attention(config, checked.shared_heads)),
        _experts(config),
        ", ".join(_head(config, checked.tied)),
        f"`{architecture.blocks[0].removesuffix('.0')}`",
        "tuple" if checked.gives_tuple else "tensor",
        "yes" if architecture.takes_positions else "none",
        _yes(checked.together["dev_swept"].T.tolist() == checked.expected["dev_hypothesis"]),
        _yes(torch.equal(checked.together["dev_swept"], checked.single["dev_swept"])),
        _yes(checked.projected[1].tolist() == checked.projected_by_hand[1].tolist()),
    ]
    return "| " + " | ".join(cells) + " |"


def _attention(config: Any, shared: int) -> Iterator[str]:
    heads = config.num_attention_heads
    if getattr(config, "kv_lora_rank", None):
        yield "latent"
    else:
        yield "multi-query" if shared == 1 else "grouped" if shared < heads else "multi-head"
    listed: Any = getattr(config, "layer_types", None) or getattr(config, "attention_layers", ())
    kinds = set(listed)
    if kinds & {"sliding_attention", "local"} or (
        not kinds and getattr(config, "sliding_window", None)
    ):
        yield "window"
    if "chunked_attention" in kinds:
        yield "chunks"
    if getattr(config, "attn_logit_softcapping", None):
        yield "soft-cap"


def _experts(config: Any) -> str:
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    found = [count for name in names if (count := getattr(config, name, None))]
    return str(found[0]) if found else ""


def _head(config: Any, tied: bool) -> Iterator[str]:
    yield "tied" if tied else "own"
    if getattr(config, "final_logit_softcapping", None):
        yield "soft-cap"
    if getattr(config, "logits_scaling", None) or config.model_type.startswith("cohere"):
        yield "scaled"


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"


if __name__ == "__main__":
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    DOCUMENT.write_text(rendered(), "utf-8")
    print(f"{len(FAMILIES)} families: {DOCUMENT}")
