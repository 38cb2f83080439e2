"""Random models, their tokenizer of whole words, and random prompts for them.

usage: python -m tests.benchmarks.random_model FOLDER [WORKLOAD.json N_PROMPTS]
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from tests.twins.prompts import ARROW, SEPARATOR, Prompt

SPECIAL = ("<pad>", "<s>", "<unk>", ARROW, SEPARATOR, "_")


def word(index: int) -> str:
    """The `index`-th word of the vocabulary; its token is its index after the special ones."""
    return f"w{index}"


def build_tokenizer(n_tokens: int) -> PreTrainedTokenizerBase:
    """Words, the arrow, the newline and `_`, which joins words, are one token each."""
    words = [*SPECIAL, *(word(index) for index in range(n_tokens - len(SPECIAL)))]
    ids = {text: index for index, text in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split(Regex(f"{ARROW}|{SEPARATOR}|_"), behavior="isolated")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", ids["<s>"])]
    )
    made: PreTrainedTokenizerBase = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", unk_token="<unk>"
    )
    return made


def random_llama(
    *, n_layers: int, hidden: int, heads: int, intermediate: int, n_tokens: int, seed: int
) -> PreTrainedModel:
    """A Llama of random float32 weights, large enough for its answers to differ by layer."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=n_tokens,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=n_layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        initializer_range=0.08,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
    )
    return _ready(LlamaForCausalLM(config))


def random_gpt2(
    *, n_layers: int, hidden: int, heads: int, n_tokens: int, seed: int
) -> PreTrainedModel:
    """A GPT-2 of random float32 weights."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=n_tokens,
        n_embd=hidden,
        n_layer=n_layers,
        n_head=heads,
        n_positions=128,
        initializer_range=0.2,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=None,
    )
    return _ready(GPT2LMHeadModel(config))


def random_prompts(n_prompts: int, *, n_tokens: int, seed: int) -> list[Prompt]:
    """Prompts of random words; an input is one word or two, so that prompts differ in length."""
    generator = random.Random(seed)
    n_words = n_tokens - len(SPECIAL)

    def draw() -> str:
        words = [word(generator.randrange(n_words)) for _ in range(generator.choice((1, 1, 2)))]
        return "_".join(words)

    return [
        Prompt(
            demonstrations=[[draw(), draw()] for _ in range(5)],
            query=draw(),
            answers=[draw()],
            dummies=[draw(), draw()],
        )
        for _ in range(n_prompts)
    ]


def save_random_llama(folder: Path) -> None:
    """24 blocks of width 512 over a vocabulary of 1,000 words, with its tokenizer."""
    model = random_llama(
        n_layers=24, hidden=512, heads=8, intermediate=1376, n_tokens=1000, seed=41
    )
    model.save_pretrained(folder)
    build_tokenizer(1000).save_pretrained(folder)


def save_random_workload(file: Path, n_prompts: int) -> None:
    """As many random prompts on dev and on test, for the vocabulary of `save_random_llama`."""
    splits = {
        "dev": random_prompts(n_prompts, n_tokens=1000, seed=41),
        "test": random_prompts(n_prompts, n_tokens=1000, seed=42),
    }
    file.write_text(json.dumps(splits, ensure_ascii=False), encoding="utf-8")


def _ready(model: Any) -> PreTrainedModel:
    ready: PreTrainedModel = model.eval()
    return ready


if __name__ == "__main__":
    save_random_llama(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        save_random_workload(Path(sys.argv[2]), int(sys.argv[3]))
