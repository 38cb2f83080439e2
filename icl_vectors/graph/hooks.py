"""Where a method can read and inject: blocks, head, and the attention of each block."""

from typing import TYPE_CHECKING, Any

from icl_vectors.errors import IclVectorsError

if TYPE_CHECKING:
    from icl_vectors.models.load import Model

PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "wo")
NORMS_AFTER_ATTENTION = {  # named so only where another norm follows the feed-forward part
    "post_attention_layernorm": "post_feedforward_layernorm",
    "post_self_attn_layernorm": "post_mlp_layernorm",
}


def hook_points(model: "Model", attention: bool = False) -> dict[str, Any]:
    """Where a session reads and injects: envoys and counts, as plain values.

    Keys:
        blocks, head: as of the model.
        projections: the output projection of each block's attention, where asked for.
        norms: the norm between each attention and the residual stream, or none at all.
        hidden: width of the residual stream.
        n_heads: attention heads a block; their outputs lie side by side before the projection.
        residual_scale: what the attention's output is multiplied by (granite), else 1.

    Raises:
        IclVectorsError: a block's attention can't be found.
    """
    if attention and not model.way.cached:
        raise IclVectorsError(
            f"{model.reference}: expected a model that keeps keys and values for a method that "
            "reads attention, found one that runs whole prompts; use methods that read whole "
            "states: state, state-mean, state-mean-add, icv or multi."
        )
    module = model.nnsight._module
    projections, norms = [], []
    for path in model.architecture.blocks if attention else ():
        block = module.get_submodule(path)
        projections.append(model.envoy(f"{path}.{projection_of(block)}"))
        for name, other in NORMS_AFTER_ATTENTION.items():
            if hasattr(block, name) and hasattr(block, other):
                norms.append(model.envoy(f"{path}.{name}"))
    return {
        "blocks": model.blocks,
        "head": model.head,
        "projections": projections,
        "norms": norms,
        "hidden": model.hidden,
        "n_heads": model.n_heads,
        "residual_scale": getattr(model.config, "residual_multiplier", None) or 1.0,
    }


def projection_of(block: Any) -> str:
    """The name, in a block, of the projection that mixes the attention heads' outputs.

    Raises:
        IclVectorsError: there is no such module, or several.
    """
    found: list[str] = []
    for name, _ in block.named_modules():
        *parents, last = name.split(".")
        if last in PROJECTIONS and any("attn" in part or "attention" in part for part in parents):
            found.append(name)
    if len(found) != 1:
        raise IclVectorsError(
            f"{type(block).__name__}: expected one output projection of the attention "
            f"({', '.join(PROJECTIONS)}), found {len(found)}; "
            "use methods that read whole states: state, state-mean, icv or multi."
        )
    return found[0]
