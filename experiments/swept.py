"""The session of one task: θ at every layer on dev, the best one on test, in parts if need be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.labels import Labels

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context
    from icl_vectors.engine.parts import Choice


def swept(
    context: "Context",
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
    layers: Sequence[int],
    choose: "Choice | None" = None,
    labels: Labels | None = None,
) -> dict[str, Any]:
    """What the session of one task finds: θ at every layer on dev, the best one on test.

    Args:
        choose: another rule for the layer than the highest accuracy on dev.
        labels: the task's, where the likeliest of them is the answer.

    Raises:
        RunError: a state or a logit is not finite.
    """
    from icl_vectors.engine.parts import run_in_parts
    from icl_vectors.graph.task import run_task
    from icl_vectors.prompts.batches import make_batches

    model = context.model

    def run(size: int) -> dict[str, Any]:
        on_dev = make_batches(dev, size, model.way, with_query=False)
        on_test = make_batches(test, size, model.way)
        if labels is not None:
            labels.add(on_dev, dev, model.way, with_query=False)
            labels.add(on_test, test, model.way)
        progress = context.progress(dev=len(dev), test=len(test))

        def session(with_dev: bool, with_test: bool, at: Sequence[int]) -> dict[str, Any]:
            job = context.job(_name_of_part(with_dev, with_test, at, size))
            given = (on_dev if with_dev else [], on_test if with_test else [], at)
            return run_task(model, *given, progress, job)

        return run_in_parts(session, dev, layers, context.observer.log, choose)

    found = context.run(run, [*dev, *test])
    for layer, fine in enumerate(found["finite_states"].tolist()):
        context.require_finite(fine, f"the states of block {layer}")
    context.require_finite(found["finite_logits"], "the logits")
    return found


def _name_of_part(with_dev: bool, with_test: bool, layers: Sequence[int], size: int) -> str:
    """A name that the same command gives the same job again, whichever process runs it."""
    splits = "whole" if with_dev and with_test else "dev" if with_dev else "test"
    at = f" at layers {layers[0]} to {layers[-1]}" if splits == "dev" else ""
    return f"{splits}{at}, batches of {size}"
