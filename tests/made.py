"""A GPT-2 made by hand that does tasks of two labels: what it does at each block is known."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from icl_vectors.tasks.task import Task
from tests.benchmarks.random_model import SPECIAL, build_tokenizer, random_gpt2, word
from tests.tiny import HIDDEN, N_TOKENS, save_model

LABELS = word(300), word(301)
SHARING = f"{word(300)}_{word(301)}", f"{word(300)}_{word(302)}"  # the same first token
INPUTS = [word(index) for index in range(60)]
PARITY = Task.from_pairs("parity", [(one, LABELS[i % 2]) for i, one in enumerate(INPUTS)])
ALIKE = Task.from_pairs("alike", [(one, SHARING[i * i % 7 % 2]) for i, one in enumerate(INPUTS)])
CLASS, ARROW, LABEL, SHOWN, ANSWER = range(0, 10, 2)  # each a pair of dimensions, +x and −x


def two_label_model(constant: bool = False) -> PreTrainedModel:
    """Answers LABELS by the parity of the words it has seen, if it has seen labels; else junk.

    Block 0 tells the arrow that labels were shown, block 1 which parity most words of the prompt
    have, block 2 nothing. So θ of block 0 carries the task, that of block 1 a dummy's answer.

    Args:
        constant: whether it answers the first label whatever it has seen.
    """
    model: Any = random_gpt2(n_layers=3, hidden=HIDDEN, heads=1, n_tokens=N_TOKENS, seed=1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
        words, first = model.transformer.wte.weight, len(SPECIAL)  # (token, hidden)
        for index in range(len(INPUTS)):
            _set(words[first + index], CLASS, 1 if index % 2 == 0 else -1)
        for token in (SPECIAL.index("<unk>"), first + 300, first + 301):
            _set(words[token], LABEL, 1)  # of unknown words are the prompts that check a model
        arrow = build_tokenizer(N_TOKENS).convert_tokens_to_ids("→")
        _set(words[arrow], ARROW, 1)
        _move(model.transformer.h[0].attn, LABEL, SHOWN, 0.1)
        _move(model.transformer.h[1].attn, CLASS, ANSWER, 1)
        head = model.lm_head.weight  # (token, hidden)
        _set(head[N_TOKENS - 1], ARROW, 1)
        for index, sign in ((300, 1), (301, -1)):
            _set(head[first + index], SHOWN, 20)
            _set(head[first + index], ANSWER, 0.0 if constant else 0.2 * sign)
    made: PreTrainedModel = model
    return made


def save_made(folder: Path, constant: bool = False) -> Path:
    return save_model(folder, two_label_model(constant), build_tokenizer(N_TOKENS))


def _set(row: torch.Tensor, feature: int, value: float) -> None:
    row[feature], row[feature + 1] = value, -value


def _move(attention: Any, source: int, target: int, gain: float) -> None:
    """Add the mean of a feature over all tokens so far to the state, as another feature."""
    attention.c_attn.weight[source, 2 * HIDDEN] = 1.0  # (in, q k v): the value's first dimension
    attention.c_attn.weight[source + 1, 2 * HIDDEN] = -1.0
    _set(attention.c_proj.weight[0], target, gain)
