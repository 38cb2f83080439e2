"""θ as words in the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.report import paper
from icl_vectors.report.section import UNTESTED, Claim, Section, graded
from icl_vectors.report.table import Cell, Table, numbers, visible, words
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import Token, Vocabulary

FEW_IN_OUTPUTS = 0.1  # of the top tokens
FEWEST_PROMPTS = 20  # of a task: so few give hardly any answers that a token could be among
TOKENS_SHOWN = 12


def sections(run: Run) -> list[Section]:
    """The top tokens of each task's θ."""
    tables = (vocabulary_table(run.vocabulary),) if run.vocabulary else ()
    claims = (theta_is_not_the_output(run.vocabulary),)
    return [Section("vocabulary", "What θ says", claims, tables=tables)]


def text(data: Mapping[str, Any]) -> str:
    """The first tokens of each task's θ."""
    lines = []
    for entry in data["vocabulary"]:
        words = ", ".join(in_one_line(token["token"].strip()) for token in entry["tokens"][:10])
        lines.append(f"{in_one_line(entry['task']):<27} block {entry['layer']:>2}  {words}")
    return "\n".join(lines)


def theta_is_not_the_output(vocabulary: Sequence[Vocabulary]) -> Claim:
    """Whether θ's top tokens are something else than the answers."""
    enough = [one for one in vocabulary if one.n is None or one.n >= FEWEST_PROMPTS]
    counted = [one.in_outputs for one in enough if one.in_outputs is not None]
    verdict, value = UNTESTED, None
    ours = "not counted: read the table" if enough else "too few prompts; raise --test"
    if not vocabulary:
        ours = "no vocabulary experiment in this folder"
    if counted:
        apart = sum(share <= FEW_IN_OUTPUTS for share in counted)
        value = apart / len(counted)
        verdict = graded(value, 0.8, 0.5)
        ours = f"{apart} of {len(counted)} projections; whether they name the task: read the table"
    return Claim(
        "θ's words are not the output",
        "θ's top tokens, which in the paper describe the task, are not in the output.",
        "shown as token lists for GPT-J and LLaMA 13B; no number is given",
        ours,
        verdict,
        "A projection is apart from the output where at most "
        f"{FEW_IN_OUTPUTS:.0%} of its top tokens are also answers that the model gave; apart in "
        f"≥ 0.80 of the projections holds, ≥ 0.50 weakly; not tested with fewer than "
        f"{FEWEST_PROMPTS} test prompts a task. Whether the tokens describe the task is not "
        "tested: read the table.",
        value,
    )


def vocabulary_table(vocabulary: Sequence[Vocabulary]) -> Table:
    """θ's top tokens, what it adds to the baseline state, and the paper's sets."""
    tops = ("top tokens of θ (%)", "top tokens without θ (%)", "added by θ (percentage points)")
    return Table.of(
        "vocabulary",
        "θ in words",
        words("task")
        + numbers("block")
        + words(*tops)
        + numbers("in outputs")
        + words("the paper's tokens"),
        (
            (
                one.task,
                one.layer,
                _tokens(one.tokens),
                _tokens(one.baseline),
                _tokens(one.added, "+"),
                _in_outputs(one),
                paper.VOCABULARY.get(one.task, "–"),
            )
            for one in vocabulary
        ),
        "Mean θ through the final norm and the unembedding. A blank at a token's start is shown "
        "as ␣. In outputs: how many of the top tokens are also answers that the model gave.",
    )


def _tokens(tokens: Sequence[Token], sign: str = "") -> str:
    shown = [f"{visible(one.token)} ({100 * one.value:{sign}.1f})" for one in tokens]
    return ", ".join(shown[:TOKENS_SHOWN]) or "–"


def _in_outputs(one: Vocabulary) -> Cell | None:
    if one.in_outputs is None:
        return None
    count = round(one.in_outputs * len(one.tokens))
    return Cell(f"{count} of {len(one.tokens)}", one.in_outputs)
