"""Tiny random models of several architectures, and tokenizers of several kinds."""

from pathlib import Path
from string import ascii_letters
from typing import Any, NamedTuple

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3TextConfig,
    GPTJConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from icl_vectors.models.load import Model
from icl_vectors.tasks.task import load_task
from tests.benchmarks.random_model import random_gpt2, random_llama

N_LAYERS = 4
HIDDEN = 32
N_TOKENS = 400
SEED = 1
FAMILIES = ("llama", "gpt2", "gptj", "bloom", "gemma3")
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


class Tiny(NamedTuple):
    """A tiny model: as a folder, as the package opens it, and as plain transformers does."""

    family: str
    folder: Path
    model: Model
    plain: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def random_model(family: str) -> PreTrainedModel:
    """A random model of four blocks and width 32, in float32."""
    if family == "llama":
        return random_llama(
            n_layers=N_LAYERS, hidden=HIDDEN, heads=4, intermediate=64, n_tokens=N_TOKENS, seed=SEED
        )
    if family == "gpt2":
        return random_gpt2(n_layers=N_LAYERS, hidden=HIDDEN, heads=4, n_tokens=N_TOKENS, seed=SEED)
    torch.manual_seed(SEED)
    maker: Any = AutoModelForCausalLM  # its methods have no types
    made: PreTrainedModel = maker.from_config(_config(family)).eval()
    return made


def save_model(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Path:
    """The folder that a user would give to --model."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny(folder: Path, family: str = "llama", **tokenizer: Any) -> Path:
    """The same of a random model and a byte-level tokenizer."""
    return save_model(folder, random_model(family), bytes_tokenizer(**tokenizer))


def load_plain(folder: Path) -> PreTrainedModel:
    """The same model opened by transformers alone."""
    config = AutoConfig.from_pretrained(folder)
    maker: Any = getattr(transformers, config.architectures[0])
    made: PreTrainedModel = maker.from_pretrained(folder).eval()
    return made


def bytes_tokenizer(
    *, bos: bool = True, eos: bool = False, joins: str | None = None
) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer of some letters, names and the arrow.

    Args:
        bos, eos: whether these are put before and after a text.
        joins: text that becomes one token although it crosses the arrow, such as "→P".
    """
    tokenizer = Tokenizer(BPE(unk_token=None))
    words = Regex(f"{joins or 'never'}| ?\\p{{L}}+| ?[^\\s\\p{{L}}]+|\\s")
    apart = pre_tokenizers.Split(words, behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([apart, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_TOKENS,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(joins), trainer)
    return _wrap(tokenizer, bos, eos)


def metaspace_tokenizer(*, bos: bool = True) -> PreTrainedTokenizerBase:
    """A tokenizer in the manner of sentencepiece: blanks become ▁, one is put in front."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>"))
    apart = pre_tokenizers.Split(Regex("→|->|:|\n"), behavior="isolated")
    blanks = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([apart, blanks])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=N_TOKENS, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([*_corpus(None), ascii_letters, ",:->"], trainer)
    return _wrap(tokenizer, bos, False)


def _wrap(tokenizer: Tokenizer, bos: bool, eos: bool) -> PreTrainedTokenizerBase:
    single = f"{'<s> ' if bos else ''}$A{' </s>' if eos else ''}"
    named = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=named)
    made: PreTrainedTokenizerBase = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    return made


def _corpus(joins: str | None) -> list[str]:
    capitals = load_task("country_capital").pairs
    names = [f"{country}→{outputs[0]}\n" for country, outputs in capitals]
    after_blanks = [f"to {letter}" for letter in ascii_letters] * 100
    return [*names, *after_blanks, *[joins or "→"] * 1000]


def _config(family: str) -> Any:
    shared: dict[str, Any] = {"vocab_size": N_TOKENS, "bos_token_id": 1, "eos_token_id": None}
    if family == "gptj":
        return GPTJConfig(
            **shared,
            n_embd=HIDDEN,
            n_layer=N_LAYERS,
            n_head=4,
            rotary_dim=4,
            n_positions=256,
            initializer_range=0.2,
            tie_word_embeddings=False,
        )
    if family == "bloom":
        return BloomConfig(
            **shared, hidden_size=HIDDEN, n_layer=N_LAYERS, n_head=4, initializer_range=0.2
        )
    return Gemma3TextConfig(
        **shared,
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.2,
        pad_token_id=0,
        sliding_window=6,  # shorter than the prompts
        layer_types=["sliding_attention", "full_attention"] * 2,
        tie_word_embeddings=False,
    )
