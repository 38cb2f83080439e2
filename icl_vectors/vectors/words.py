"""`words`: θ at each block as tokens, through the model's own final norm and unembedding."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from icl_vectors.errors import not_finite
from icl_vectors.given import takes_numbers
from icl_vectors.graph.experiments import run_projection
from icl_vectors.models.load import as_model
from icl_vectors.prompts.batches import whole_prompts
from icl_vectors.prompts.encoding import encode_to_arrow
from icl_vectors.turns import takes_turns
from icl_vectors.vectors.apply import check_queries
from icl_vectors.vectors.injection import held_layers, what_goes_in
from icl_vectors.vectors.vector import TaskVector

if TYPE_CHECKING:
    import pandas


@takes_turns
@takes_numbers
def words(
    model: Any,
    theta: TaskVector,
    queries: str | Iterable[str],
    *,
    layers: str | Iterable[int] = "all",
    top_k: int = 10,
    force: bool = False,
) -> "pandas.DataFrame":
    """The likeliest tokens of θ at each block, and those that θ adds to the state without it.

    Paper: section 4.3 and table 5.

    Args:
        queries: their arrows, without demonstrations, give the state that θ is compared with.
        layers: of those that the vector holds: "all", "A:B[:STEP]", "I,J,…" or [I, J, …].

    Returns:
        One row a layer, kind and rank: layer; of: "theta", "baseline" (the state without θ) or
        "added"; rank from 1; token; value: a probability, of "added" the difference of two.

    Raises:
        IclVectorsError: as `apply`; or the last block's state does not decide the logits.
    """
    import pandas

    model = as_model(model)
    asked = check_queries(queries, 1, None, top_k, model)
    chosen = held_layers(model, theta, layers)
    what_goes_in(model, theta, chosen, 1.0, force)  # raises
    form = theta.form
    rows = [encode_to_arrow(model.tokenizer, form, form.query(query), None) for query in asked]
    prompts = whole_prompts(rows, model.way)
    found = run_projection(model, theta.only(chosen).vectors, prompts, chosen, top_k)
    if not bool(found["finite"]):
        raise not_finite("the logits", model.dtype, model.device)
    return pandas.DataFrame(
        {"layer": layer, "of": of, "rank": rank, "token": token, "value": value}
        for row, layer in enumerate(chosen)
        for of in ("theta", "baseline", "added")
        for rank, token, value in zip(
            range(1, top_k + 1),
            model.tokenizer.batch_decode(found[of][1][row].unsqueeze(-1)),
            found[of][0][row].tolist(),
            strict=True,
        )
    )
