"""What a method's session gets of some prompts: batches to fit on, to choose on, and to tell on."""

from collections.abc import Sequence

from icl_vectors.methods.method import Method
from icl_vectors.methods.prepare import Contexts, add_taught, method_batches, split_dev, taught
from icl_vectors.methods.session import Batches
from icl_vectors.models.load import Model
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.labels import Labels
from icl_vectors.prompts.template import Template

Prompts = Sequence[EncodedPrompt]


def batches_of(
    model: Model,
    method: Method,
    dev: Prompts,
    test: Prompts,
    labels: Labels | None = None,
    size: int = 2,
) -> Batches:
    """Batches of `size` prompts: the contexts, those of dev that are chosen on, and test."""
    fitted_on, chosen_on = split_dev(method, dev)
    contexts, on_dev, on_test = (
        method_batches(model, Template(), method, part, Contexts(dev), size, 41, labels)
        for part in (fitted_on, chosen_on, test)
    )
    if "taught" in method.inputs:
        parts = ([one.prompt for one in part] for part in (fitted_on, chosen_on, test))
        add_taught(contexts, model, Template(), taught(*parts), size)
    return Batches(contexts, on_dev, on_test)
