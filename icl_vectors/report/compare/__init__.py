"""Claims that a comparison of methods can speak to. The rules are tuned to no run."""

from statistics import fmean

from icl_vectors.report.compare.figures import comparison_drawings
from icl_vectors.report.compare.tables import comparison_tables
from icl_vectors.report.compare.text import text as text
from icl_vectors.report.section import UNTESTED, Claim, Section, above_zero, verdict_of
from icl_vectors.report.statistics import FEWEST_TASKS, mean_interval
from icl_vectors.runs.run import REGULAR, ZERO_SHOT, Comparison, Run
from icl_vectors.tasks.bijections import CATEGORY, SOURCES

STATE = "state"


def sections(run: Run) -> list[Section]:
    """Methods beside their controls; nothing where none were compared: it is not of the paper."""
    found = run.comparison
    if found is None:
        return []
    claims = (one_vector_fails_on_bijections(found), methods_beat_their_controls(found))
    tables = comparison_tables(found) if found.entries else ()
    figures = tuple(comparison_drawings(run))
    return [Section("compared", "Kinds of task vectors", claims, figures, tables)]


def one_vector_fails_on_bijections(found: Comparison) -> Claim:
    """One θ loses more of in-context learning where a task mixes both directions."""
    verdict, ours = UNTESTED, "not run"
    state, regular, plain = (found.of_method(name) for name in (STATE, REGULAR, ZERO_SHOT))
    both = [task for task in state if state[task].category == CATEGORY and task in regular]
    learned = [task for task in both if task in plain and regular[task].low > plain[task].high]
    if len(learned) >= FEWEST_TASKS:
        lost = mean_interval([regular[t].accuracy - state[t].accuracy for t in learned])
        verdict = above_zero(lost)
        ours = (
            f"regular {fmean(regular[t].accuracy for t in learned):.2f}, "
            f"θ {fmean(state[t].accuracy for t in learned):.2f} on {len(learned)} "
            f"bijection tasks that are learned in context; loss {lost}"
        )
        made_from = [SOURCES[task][0] for task in learned if task in SOURCES]
        one_way = [task for task in made_from if task in state and task in regular]
        if one_way:
            losses = [regular[t].accuracy - state[t].accuracy for t in one_way]
            ours += f"; on the same pairs one way {fmean(losses):.2f} ({len(one_way)} tasks)"
    elif both:
        ours = f"{len(learned)} of {len(both)} bijection tasks are shown to be learned in context"
    return Claim(
        "one θ fails on bijections",
        "Where a task maps x to y and y to x, one vector fails although in-context learning "
        "succeeds.",
        "Dong et al. 2025: Llama-7B, letter case both ways, in-context 1.00, θ .55; one way .91",
        ours,
        verdict,
        "Over the bijection tasks that are learned in context (the 95 % Wilson interval of regular "
        "above that of zero-shot): regular − θ, its 95 % bootstrap interval over tasks above 0 "
        f"holds, its mean above 0 weakly. Not tested with fewer than {FEWEST_TASKS} such tasks.",
    )


def methods_beat_their_controls(found: Comparison) -> Claim:
    """Which methods carry more than random, shuffled, other tasks' and mean vectors."""
    controlled = [one for one in found.summary if any(":" in other for other in one.against)]
    beating, failing = (
        [one.method for one in found.summary if one.beats_controls is wanted]
        for wanted in (True, False)
    )
    verdict, ours = UNTESTED, "no controls were run"
    if beating or failing:
        verdict = verdict_of(not failing, bool(beating))
        ours = f"beat all: {', '.join(beating) or 'none'}; do not: {', '.join(failing) or 'none'}"
        untold = [one.method for one in controlled if one.beats_controls is None]
        ours += f"; too few prompts to tell: {', '.join(untold)}" if untold else ""
    elif controlled:
        ours = "too few prompts differ to tell"
    return Claim(
        "methods beat their controls",
        "A method's vectors do more than vectors that should not carry the task.",
        "no paper compares all of them on the same prompts",
        ours,
        verdict,
        "A method beats a control where it alone is right on more prompts than the control alone, "
        "McNemar's exact p < .05, all tasks together; controls: zero-shot and those that were run. "
        "All methods that can be tested beat all controls holds, some weakly.",
    )
