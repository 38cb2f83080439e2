"""How long a prompt a model takes."""

from icl_vectors.models import Model

UNBOUNDED = 1 << 30


def positions_limit(model: Model) -> int:
    """The most tokens that the model takes in one prompt."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        if isinstance(limit := getattr(model.config, name, None), int):
            return limit
    return UNBOUNDED
