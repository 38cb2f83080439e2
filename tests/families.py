"""Decoder families of transformers: a tiny random model of each, of four blocks of width 32.

Its weights are large enough for answers to differ by layer.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
)  # fmt: skip
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.benchmarks.random_model import build_tokenizer
from tests.family_rule import settings_of
from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS, save_model

SEED = 1
WINDOW = 6  # shorter than the prompts
SLIDING = ["sliding_attention", "full_attention"] * 2

SPECIAL: dict[str, Any] = {
    "vocab_size": N_TOKENS, "bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0,
    "initializer_range": 0.2, "tie_word_embeddings": False,
}  # fmt: skip
SIZES: dict[str, Any] = {"hidden_size": HIDDEN, "num_hidden_layers": N_LAYERS}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "max_position_embeddings": 256}
MODERN = SPECIAL | SIZES | HEADS | {"intermediate_size": 64, "num_key_value_heads": 2}
GPT2 = SPECIAL | {"n_embd": HIDDEN, "n_layer": N_LAYERS, "n_head": 4, "n_positions": 256}
EXPERTS: dict[str, Any] = {"moe_intermediate_size": 32, "num_experts_per_tok": 2}
FOUR: dict[str, Any] = {"num_local_experts": 4}
LATENT: dict[str, Any] = {  # deepseek's attention through a low rank
    **EXPERTS, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1,
    "num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8, "v_head_dim": 8, "n_group": 2, "topk_group": 1,
}  # fmt: skip
HEAD: dict[str, Any] = {"head_dim": 8}
TIED: dict[str, Any] = {"tie_word_embeddings": True}
WINDOWS: dict[str, Any] = {"sliding_window": WINDOW, "layer_types": SLIDING}

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": GPT2 | TIED,
    "gptj": GPT2 | {"rotary_dim": 4},
    "gpt_neo": SPECIAL | {
        "hidden_size": HIDDEN, "num_layers": N_LAYERS, "num_heads": 4, "window_size": WINDOW,
        "attention_types": [[["global", "local"], 2]], "max_position_embeddings": 256,
    },
    "gpt_neox": MODERN,
    "gpt_bigcode": GPT2 | {"multi_query": True},
    "llama": MODERN,
    "mistral": MODERN | {"sliding_window": WINDOW},
    "mixtral": MODERN | FOUR | {"num_experts_per_tok": 2},
    "qwen2": MODERN | TIED,
    "qwen2_moe": MODERN | EXPERTS | {"num_experts": 4, "shared_expert_intermediate_size": 32},
    "qwen3": MODERN | HEAD,
    "qwen3_moe": MODERN | EXPERTS | HEAD | {"num_experts": 4},
    "gemma": MODERN | HEAD | TIED | {"num_key_value_heads": 1},
    "gemma2": MODERN | HEAD | TIED | WINDOWS
    | {"final_logit_softcapping": 2.0, "attn_logit_softcapping": 5.0},
    "gemma3_text": MODERN | HEAD | WINDOWS,
    "phi": MODERN,
    "phi3": MODERN | {"sliding_window": WINDOW},
    "opt": SPECIAL | SIZES | HEADS
    | {"init_std": 0.2, "word_embed_proj_dim": HIDDEN, "ffn_dim": 64},
    "bloom": SPECIAL | {"hidden_size": HIDDEN, "n_layer": N_LAYERS, "n_head": 4},
    "mpt": SPECIAL | {"d_model": HIDDEN, "n_layers": N_LAYERS, "n_heads": 4, "max_seq_len": 256},
    "falcon": SPECIAL | SIZES
    | {"num_attention_heads": 4, "multi_query": True, "initializer_range": 1.0},
    "olmo": MODERN,
    "olmo2": MODERN,
    "olmoe": MODERN | {"num_experts": 4, "num_experts_per_tok": 2},
    "stablelm": MODERN,
    "starcoder2": MODERN | TIED | {"sliding_window": WINDOW},
    "cohere": MODERN | TIED,
    "cohere2": MODERN | TIED | WINDOWS,
    "granite": MODERN | {"logits_scaling": 3.0, "residual_multiplier": 0.7},
    "granitemoe": MODERN | FOUR | {"num_experts_per_tok": 2},
    "glm4": MODERN | HEAD,
    "smollm3": MODERN,
    "nemotron": MODERN,
    "gpt_oss": MODERN | HEAD | WINDOWS | FOUR | {"num_experts_per_tok": 2},
    "glm": MODERN | HEAD,
    "glm4_moe": MODERN | EXPERTS | {"n_routed_experts": 4, "n_group": 2, "topk_group": 1},
    "olmo3": MODERN | WINDOWS,
    "exaone4": MODERN | WINDOWS,
    "ernie4_5": MODERN | HEAD,
    "arcee": MODERN,
    "apertus": MODERN,
    "seed_oss": MODERN | HEAD,
    "codegen": GPT2 | {"rotary_dim": 4},
    "phimoe": MODERN | FOUR | {"num_experts_per_tok": 2},
    "hunyuan_v1_dense": MODERN | HEAD,
    "helium": MODERN | HEAD,
    "xglm": MODERN,
    "bitnet": MODERN,
    "diffllama": MODERN,
    "llama4_text": MODERN | HEAD | FOUR | {"attention_chunk_size": WINDOW},
    "jetmoe": MODERN | FOUR,
    "deepseek_v2": MODERN | LATENT,
    "deepseek_v3": MODERN | LATENT,
}  # fmt: skip
ROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0}
IN_THREE = {"rope_parameters": ROPE | {"mrope_section": [2, 1, 1]}}  # time, height, width
BY_KIND = {"full_attention": ROPE, "sliding_attention": ROPE}
QSA = {  # indexed attention
    "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8,
    "indexer_compress_ratio": 4,
}  # fmt: skip
SPECIAL_BY_FAMILY: dict[str, dict[str, Any]] = {  # where the rule fails
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "zaya": {"num_experts_per_tok": 1},
    "hunyuan_v1_moe": HEAD,
    "ministral": HEAD,
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "deepseek_v32": {"index_topk": 8},
    "bailing_hybrid": {"n_group": 2, "num_expert_group": 2},
    "gemma4_assistant": {"text_config": {"hidden_size_per_layer_input": 0}},
    "dots3_note_text": {"head_dim": 16, "per_layer_config": {}},
    "dots3_note": {
        "text_config": {"head_dim": 16, "per_layer_config": {}},
        "vision_config": {"adapter_in_dim": HIDDEN, "adapter_out_dim": HIDDEN},
        "audio_config": {"adapter_input_size": HIDDEN, "adapter_out_dim": HIDDEN},
    },
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "xmod": {"default_language": "en_XX"},
    "xlstm": {"chunk_size": 64},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "cohere_compass_text": {"rope_parameters": BY_KIND},
    "qwen2_vl": {"text_config": IN_THREE},
    "qwen2_5_vl": {"text_config": IN_THREE},
    "glm4v": {"text_config": IN_THREE},
    "zamba": {"attention_hidden_size": 64, "attention_head_dim": 16},
    "zamba2": {"attention_hidden_size": 64, "attention_head_dim": 16, "mamba_headdim": 8},
    "reformer": {"axial_pos_embds_dim": [16, 16]},
    "qwen4_exp_text": QSA,
    "qwen4_exp": {"text_config": QSA},
    "inkling2": {"vision_config": {"text_hidden_size": HIDDEN}},
    "jamba": {"num_experts": 2, "attn_layer_offset": 1, "attn_layer_period": 2},
    "bamba": {"attn_layer_indices": [1, 3], "mamba_n_heads": 8, "mamba_d_head": 8},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2, "mamba_n_heads": 8},
    "dory": {  # counted in halves: an attention and an mlp are one block
        "num_hidden_layers": 2 * N_LAYERS,
        "layer_types": ["sliding_attention", "mlp", "full_attention", "mlp"] * 2,
        "n_input_layers": 2,
        "n_recurrent_layers": 4,
        "n_output_layers": 2,
    },
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "layer_types": SLIDING,
        "activation_sparsity_pattern": [0.5, 0.0, 0.5, 0.0],
        "intermediate_size": [64] * N_LAYERS,
    },
}
WRAPPERS = (  # of text and images, not in the mapping of language models
    "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava", "lfm2_vl", "gemma3n", "paligemma",
    "internvl", "smolvlm", "idefics3", "aya_vision", "glm4v",
)  # fmt: skip
ENCODERS: dict[str, tuple[dict[str, Any], str]] = {
    "bert": (MODERN, "an encoder"),
    "bert-generation": (MODERN, "an encoder"),
    "roformer": (MODERN, "an encoder"),
    "t5": ({"d_model": HIDDEN, "d_kv": 8, "d_ff": 64, "num_heads": 4}, "encoder–decoder"),
    "bart": ({"d_model": HIDDEN, "vocab_size": N_TOKENS}, "encoder–decoder"),
}


class NotMade(Exception):
    """The rule gives no tiny model of a family, and why."""


def all_families() -> list[str]:
    """Every language model of the installed transformers, and wrappers; those of FAMILIES first."""
    mapped: Any = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return list(dict.fromkeys([*FAMILIES, *mapped, *WRAPPERS]))


def save_family(family: str, folder: Path) -> Path:
    """A tiny random model of a family, with a tokenizer of whole words, as a folder."""
    return save_model(folder, random_of_family(family), build_tokenizer(N_TOKENS))


def random_of_family(family: str, **other: Any) -> PreTrainedModel:
    """A tiny random model of a family, in float32; `other` settings go before its own."""
    try:
        return _random_of_family(family, other)
    except Exception as error:  # configurations refuse sizes in ways of their own
        lines = str(error).strip().splitlines() or [""]
        raise NotMade(f"{type(error).__name__}: {lines[-1].strip()[:100]}") from error


def _random_of_family(family: str, other: dict[str, Any]) -> PreTrainedModel:
    torch.manual_seed(SEED)
    in_text: Any = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    maker: Any = AutoModelForCausalLM if family in in_text else AutoModelForImageTextToText
    own = FAMILIES.get(family) or settings_of(family, SPECIAL_BY_FAMILY.get(family, {}))
    config: Any = AutoConfig.for_model(family, **own | other)
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError("an encoder–decoder")
    model: PreTrainedModel = maker.from_config(config).eval()
    return model
