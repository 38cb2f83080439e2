"""A sweep's prompts as tokens: looked over before anything runs, encoded unit by unit.

Nothing is kept beyond the unit that runs, so that memory does not grow with the tasks.
"""

from icl_vectors.answers import answer_bound
from icl_vectors.encoding import EncodedPrompt
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.plan_of_run import SweepPlan
from icl_vectors.limits import encode_prompts
from icl_vectors.models import Model
from icl_vectors.prompts import Prompt
from icl_vectors.run_folder import Unit

Encoded = tuple[list[EncodedPrompt], list[EncodedPrompt]]  # dev, test


def encode_unit(model: Model, plan: SweepPlan, unit: Unit) -> Encoded:
    """All prompts of one unit.

    Raises:
        IclVectorsError: one of them can't be encoded.
    """
    dev, test = plan.prompts(unit)
    return (
        encode_prompts(model, plan.template, dev),
        encode_prompts(model, plan.template, test, _written(model, plan, test)),
    )


def units_that_fail(model: Model, plan: SweepPlan) -> dict[Unit, str]:
    """Units whose longest prompt can't be encoded, with the reason.

    Raises:
        IclVectorsError: none can be.
    """
    failures: dict[Unit, str] = {}
    first_error: IclVectorsError | None = None
    for unit in plan.units:
        try:
            dev, test = plan.prompts(unit)
            encode_prompts(model, plan.template, [max(dev, key=_length)])
            longest = [max(test, key=_length)]
            encode_prompts(model, plan.template, longest, _written(model, plan, test))
        except IclVectorsError as error:
            failures[unit] = str(error)
            first_error = first_error or error
    if first_error is not None and len(failures) == len(plan.units):
        raise first_error
    return failures


def _written(model: Model, plan: SweepPlan, test: list[Prompt]) -> int:
    """Tokens that are written after each test prompt; 0 where only the first one is compared."""
    answers = (text for prompt in test for text in prompt.answers)
    return answer_bound(model.tokenizer, answers) if plan.writes_answers else 0


def _length(prompt: Prompt) -> int:
    """Characters of a prompt's texts, the longest dummy in the query's place."""
    shown = [text for pair in prompt.demonstrations for text in pair]
    return sum(map(len, shown)) + max(map(len, [prompt.query, *prompt.dummies]))
