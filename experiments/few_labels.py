"""What a task's figures are worth: constant answers, copied answers, answers that begin alike.

Where a task has few labels, one constant answer or a copy of a dummy's answer earns much; where
its answers share first tokens, comparing first tokens can't tell them apart.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.generated import GeneratedByMethod
from icl_vectors.experiments.measures import answers_by_method, are_right, by_layer
from icl_vectors.prompts.encoding import EncodedPrompt, first_tokens
from icl_vectors.prompts.labels import Labels
from icl_vectors.prompts.template import Template
from icl_vectors.runs.schema import BEGIN_ALIKE, COPIES, METHODS, TOO_FEW
from icl_vectors.scoring import SIGNIFICANT, accuracy, exact_mcnemar
from icl_vectors.tasks.task import Task

FEWEST_DIFFERENT = 6  # where fewer prompts differ, McNemar's exact test can't reach p < .05
FEWEST_APART = 10
ENOUGH = 50  # test prompts to try where so few differ
MOSTLY = 0.8  # from this share on of equal answers the model "answers a constant"
NONE = ("accuracy", "low", "high")
OF_TASK = ("n_answers", "n_first_tokens", "n_labels", "begin_alike", "constant")

FirstTokens = Mapping[str, Collection[int]]


def dummy_answers(
    tokenizer: Any,
    template: Template,
    task: Task,
    prompts: Sequence[EncodedPrompt],
    labels: Labels | None = None,
) -> dict[str, tuple[int, ...]]:
    """The first tokens of each dummy's right answers; none where no token can equal them.

    Where labels are compared, these by their indices.
    """
    if labels is not None:
        return labels.of_dummies(prompts)
    found: dict[str, tuple[int, ...]] = {}
    for dummy in {dummy for one in prompts for dummy in one.prompt.dummies}:
        try:
            text = template.query(dummy)
            found[dummy] = first_tokens(tokenizer, template, text, task.answers[dummy])
        except IclVectorsError:  # joined to the arrow or blank: no query accepts such a token
            found[dummy] = ()
    return found


def label_measures(
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
    layers: Sequence[int],
    n_layers: int,
    found: Mapping[str, Any],
    of_dummies: FirstTokens,
    copies: bool,
    generated: GeneratedByMethod | None = None,
) -> dict[str, Any]:
    """What a constant answer earns, what is left without a dummy's answers, and what θ fails at.

    Args:
        of_dummies: first tokens of each dummy's right answers.
        copies: whether the answers with θ copy the dummies' own more often than regular ones do.
        generated: whole answers, where these are compared in place of first tokens.
    """
    tokens = answers_by_method(found)
    hypothesis: list[Any] = tokens["hypothesis"]
    if generated is None:
        right = {method: are_right(tokens[method], test) for method in METHODS}
    else:
        right = {method: [one.correct for one in generated[method]] for method in METHODS}
        hypothesis = [one.prediction for one in generated["hypothesis"]]
    own = found["test_own"][:, 1:].tolist()
    task = prompt_measures(dev, test, own, of_dummies, generated is not None)
    measures = method_measures(task, right["hypothesis"], right["baseline"], hypothesis, copies)
    left = {method: [right[method][row] for row in task["apart_rows"]] for method in METHODS}
    return {
        **{key: task[key] for key in OF_TASK},
        **{key: value for key, value in measures.items() if key != "apart"},
        "apart": {"n": measures["apart"]["n"], **{m: _accuracy(left[m]) for m in METHODS[1:]}},
        "dev_apart_by_layer": _dev_apart(dev, layers, n_layers, found, of_dummies),
    }


def prompt_measures(
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
    own: Sequence[Sequence[int]],
    of_dummies: FirstTokens,
    whole: bool = False,
) -> dict[str, Any]:
    """What holds of a task's prompts whichever method answers them.

    Args:
        own: the dummies' own answers on test, (prompt, dummy).
        whole: whether whole answers are compared, not first tokens.

    Returns:
        `OF_TASK`, and for `method_measures`, by test prompt: of_constant, whether the constant
        answer is right; apart_rows, whose answers no dummy gives; best_on_test, the prompts that
        the best single answer on test itself is right for.
    """
    texts = [one.prompt.answers for one in test]
    labels: list[list[Collection[Any]]] = [[one.accepted for one in part] for part in (dev, test)]
    alike = not whole and _begin_alike(labels[1], texts)
    if whole:
        labels = [[one.prompt.answers for one in part] for part in (dev, test)]
    constant = _commonest(labels[0])[0]
    of_constant = [constant in accepted for accepted in labels[1]]
    n_labels = len({token for one in test for token in one.accepted})
    return {
        "n_answers": len({text for accepted in texts for text in accepted}),
        "n_first_tokens": n_labels,
        "n_labels": n_labels,
        "begin_alike": alike,
        "constant": accuracy(of_constant).to_json(),
        "of_constant": of_constant,
        "apart_rows": _apart(test, own, of_dummies),
        "best_on_test": _commonest(labels[1])[1],
    }


def method_measures(
    task: Mapping[str, Any],
    right: Sequence[bool],
    baseline: Sequence[bool],
    answers: Sequence[Any],
    copies: bool = False,
) -> dict[str, Any]:
    """Whether a method beats a constant answer and the baseline, and what it does apart.

    Args:
        task: of `prompt_measures`; right, baseline, answers: by test prompt.
    """
    left = [right[row] for row in task["apart_rows"]]
    beats_constant = beats(right, task["of_constant"])
    if beats_constant and sum(right) <= task["best_on_test"]:
        beats_constant = False  # no better than the best one on test itself
    measures: dict[str, Any] = {
        "beats_constant": beats_constant,
        "beats_baseline": beats(right, baseline),
        "apart": {"n": len(left), **(_accuracy(left) or dict.fromkeys(NONE))},
    }
    if task["begin_alike"]:
        return {**measures, "fails": [BEGIN_ALIKE]}
    faults = _faults(measures, right, baseline, task["of_constant"], answers)
    above = sum(left) > sum(baseline[row] for row in task["apart_rows"])
    if copies or (measures["beats_baseline"] and len(left) >= FEWEST_APART and not above):
        faults = [COPIES, *faults]
    return {**measures, "fails": faults}


def beats(ours: Sequence[bool], theirs: Sequence[bool]) -> bool | None:
    """Whether ours are right more often, by McNemar's exact test; None if too few differ."""
    won = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    lost = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    if won + lost < FEWEST_DIFFERENT:
        return None
    return won > lost and exact_mcnemar(lost, won) < SIGNIFICANT


def _commonest(accepted: Sequence[Collection[Any]]) -> tuple[Any, int]:
    """The answer that most prompts accept (ties to the first in order), and how many do."""
    counts = Counter(label for one in accepted for label in set(one))
    return min(counts.items(), key=lambda item: (-item[1], item[0]))


def _begin_alike(tokens: Sequence[Collection[int]], texts: Sequence[Collection[str]]) -> bool:
    """Whether a constant first token earns clearly more than any one answer does.

    Clearly: on a tenth of the prompts, at least 3, or where all of several answers share it. Two
    words among many that happen to begin alike are no matter.
    """
    (_, of_token), (_, of_text) = _commonest(tokens), _commonest(texts)
    one_token = len({token for one in tokens for token in one}) == 1
    if one_token and len({text for one in texts for text in one}) > 1:
        return of_token > of_text
    return of_token - of_text >= max(3, len(tokens) / 10)


def _apart(
    prompts: Sequence[EncodedPrompt], own: Sequence[Sequence[int]], of_dummies: FirstTokens
) -> list[int]:
    """Rows of the prompts that accept no dummy's own answer and no dummy's right answer."""
    return [
        row
        for row, (one, answers) in enumerate(zip(prompts, own, strict=True))
        if not {*one.accepted}
        & {*answers, *(token for dummy in one.prompt.dummies for token in of_dummies[dummy])}
    ]


def _dev_apart(
    dev: Sequence[EncodedPrompt],
    layers: Sequence[int],
    n_layers: int,
    found: Mapping[str, Any],
    of_dummies: FirstTokens,
) -> list[float | None]:
    """Accuracy by layer on the dev prompts whose answers no dummy gives; None without any."""
    rows = _apart(dev, found["dev_own"].tolist(), of_dummies)
    right = [are_right(column, dev) for column in found["dev_swept"].T.tolist()]
    shares = [sum(one[row] for row in rows) / len(rows) if rows else None for one in right]
    return by_layer(layers, n_layers, shares)


def best_apart(
    dev: Sequence[EncodedPrompt],
    layers: Sequence[int],
    of_dummies: FirstTokens,
    swept: Any,
    own: Any,
) -> int:
    """The layer with most right answers on the dev prompts whose answers no dummy gives.

    Raises:
        IclVectorsError: there are no such prompts.
    """
    found = {"dev_swept": swept, "dev_own": own}
    curve = _dev_apart(dev, layers, max(layers) + 1, found, of_dummies)
    shares = [(share, -layer) for layer, share in enumerate(curve) if share is not None]
    if not shares:
        raise IclVectorsError(
            f"--choose-layer apart, {dev[0].prompt.task}: expected dev prompts whose answer no "
            f"dummy gives, found none among {len(dev)}; raise --dev, lower --dummies, or choose by "
            "accuracy."
        )
    return -max(shares)[1]


def _accuracy(right: Sequence[bool]) -> dict[str, float] | None:
    return accuracy(right).to_json() if right else None


def _faults(
    measures: Mapping[str, Any],
    right: Sequence[bool],
    baseline: Sequence[bool],
    of_constant: Sequence[bool],
    answers: Sequence[Any],
) -> list[str]:
    """Which of constant answer and baseline is not beaten, in words."""
    found: list[str] = []
    unsure: dict[str, str] = {}  # how many prompts differ
    ours = sum(right)
    for rival, theirs, key in (
        ("a constant answer", of_constant, "beats_constant"),
        ("the baseline", baseline, "beats_baseline"),
    ):
        equal = Counter(answers).most_common(1)[0][1]
        if measures[key]:
            continue
        if ours > sum(theirs) and measures[key] is None and len(theirs) < ENOUGH:
            unsure[rival] = str(sum(a != b for a, b in zip(right, theirs, strict=True)))
        elif ours > sum(theirs) and len(theirs) - sum(theirs) < FEWEST_DIFFERENT:
            found.append(f"{TOO_FEW} it from {rival}")
        elif key == "beats_constant" and equal >= MOSTLY * len(answers):
            found.append("answers a constant")
        else:
            found.append(f"{'not clearly' if ours > sum(theirs) else 'no'} better than {rival}")
    if unsure:
        rivals, differ = " and ".join(unsure), " and ".join(unsure.values())
        needed = f"({differ} differ, {FEWEST_DIFFERENT} needed); try --test {ENOUGH}"
        found.append(f"{TOO_FEW} it from {rivals} {needed}")
    return found
