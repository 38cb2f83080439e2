"""The configuration of a tiny model of any family of transformers, by one rule.

Each size that the family's own configuration states is made small by its name. A list with an
entry for each block keeps every kind of block that it names.
"""

from typing import Any

from transformers import AutoConfig

from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS

SMALL: dict[Any, str] = {
    N_TOKENS: "vocab_size unpadded_vocab_size vocab_size_per_layer_input vocab_size_per_layer",
    HIDDEN: """hidden_size n_embd d_model embedding_size word_embed_proj_dim dim_model lru_width
        attention_hidden_size embed_dim projection_dim emb_dim out_hidden_size embedding_dim
        input_embedding_size output_embedding_size mm_hidden_size moe_intermediate_size
        expert_ffn_hidden_size moe_shared_expert_intermediate_size
        expert_intermediate_size moe_ffn_hidden_size""",
    64: """intermediate_size n_inner ffn_dim d_ff d_inner ffn_hidden_size encoder_ffn_dim
        decoder_ffn_dim dim_ff feed_forward_size shared_expert_intermediate_size mlp_hidden_size
        intermediate_size_mlp shared_intermediate_size dense_intermediate_size mamba_d_ssm
        ffn_intermediate_size mamba_intermediate_size inner_dim""",
    N_LAYERS: """num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers depth
        num_encoder_layers num_decoder_layers num_attention_heads n_head n_heads num_heads
        encoder_attention_heads decoder_attention_heads linear_num_value_heads
        linear_num_key_heads linear_num_heads num_experts num_local_experts n_routed_experts
        moe_num_experts num_routed_experts""",
    2: """num_key_value_heads n_head_kv num_kv_heads num_global_key_value_heads
        num_experts_per_tok moe_topk top_k_experts moe_top_k num_experts_per_token
        experts_per_token moe_k n_group""",
    8: """head_dim kv_channels attention_head_size d_kv global_head_dim linear_key_head_dim
        linear_value_head_dim linear_head_dim v_head_dim qk_nope_head_dim qk_rope_head_dim
        swa_head_dim index_head_dim head_size rotary_dim attention_key_size state_size mamba_d_state
        ssm_state_size mamba_head_dim mamba_d_head mamba_headdim mamba_n_heads
        mamba_num_heads n_mamba_heads""",
    16: """mamba_chunk_size chunk_size kv_lora_rank q_lora_rank o_lora_rank
        hidden_size_per_layer_input qk_head_dim hidden_size_per_layer""",
    1: """topk_group first_k_dense_replace n_shared_experts num_dense_layers n_groups
        mamba_n_groups mamba_ngroups mamba_num_groups bos_token_id""",
    6: """sliding_window window_size attention_window_size attention_chunk_size local_attention
        sliding_window_size""",
    256: """max_position_embeddings n_positions max_seq_len n_ctx max_seq_length
        max_target_positions context_length""",
    0.2: "initializer_range init_std",
    28: "image_size",
    14: "patch_size",
}
SIZES = {name: size for size, names in SMALL.items() for name in names.split()}
ALWAYS = {"pad_token_id": 0, "eos_token_id": None, "tie_word_embeddings": False, "is_decoder": True}
DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers")


def settings_of(family: str, special: dict[str, Any]) -> dict[str, Any]:
    """What makes a family's configuration tiny; `special` settings go before the rule's."""
    return _merged(_small(AutoConfig.for_model(family).to_dict()), special)


def _small(config: dict[str, Any]) -> dict[str, Any]:
    depth = next((config[name] for name in DEPTHS if isinstance(config.get(name), int)), None)
    latent = {"num_key_value_heads": N_LAYERS} if "kv_lora_rank" in config else {}
    sizes: dict[str, Any] = SIZES | ALWAYS | latent
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict) and "config" in name:
            kind = {"model_type": value["model_type"]} if "model_type" in value else {}
            found[name] = _small(value) | kind
        elif name in ALWAYS or (name in sizes and value is not None):
            found[name] = sizes[name]
        elif isinstance(value, list) and depth and len(value) == depth:
            kinds = [
                value[list(map(str, value)).index(one)] for one in dict.fromkeys(map(str, value))
            ]
            found[name] = (kinds * N_LAYERS)[:N_LAYERS]
    return found


def _merged(settings: dict[str, Any], special: dict[str, Any]) -> dict[str, Any]:
    inner = {
        name: _merged(settings[name], value)
        for name, value in special.items()
        if isinstance(value, dict) and isinstance(settings.get(name), dict)
    }
    return settings | special | inner
