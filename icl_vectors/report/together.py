"""Several runs beside each other and beside the paper's models, and one model over seeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

from icl_vectors.report import drawing, paper
from icl_vectors.report.drawing import BLUE, FAINT, GREEN, INK, LINE_STYLES, VERMILION, Drawing
from icl_vectors.report.section import UNTESTED, VERDICTS, Claim, Section, present, verdict_cell
from icl_vectors.report.statistics import (
    FEWEST_TASKS,
    Curve,
    Interval,
    mean_curve,
    seeds_interval,
    task_means,
)
from icl_vectors.report.sweep.figures import ACCURACY, draw_curve
from icl_vectors.report.table import Cell, Table, numbers, words
from icl_vectors.runs.run import Run

COLOURS = (BLUE, VERMILION, GREEN)  # of models over seeds
SAME_DEPTH = 0.15  # of the model's depth
Claims: TypeAlias = dict[str, list[tuple[int, Claim]]]  # by name: of each seed


def same_depth(runs: Sequence[Run]) -> Claim:
    """Whether the best depth is the same over several runs."""
    curves = [(run, mean_curve(task_means(run.counted), run.n_layers)) for run in runs]
    found = [(run, curve.depth) for run, curve in curves if curve is not None]
    models = {run.fingerprint for run, _ in found}
    depths = [depth for _, depth in found]
    verdict, ours = UNTESTED, "; ".join(f"{run.label}: {depth}" for run, depth in found)
    if len(depths) < 2:
        ours = ours or "no sweep in these folders"
    else:
        values = [depth.value for depth in depths]
        ours = f"best depths {min(values):.2f} to {max(values):.2f}. {ours}"
        if len(models) == 1:
            several = len({run.dtype for run, _ in found}) > 1
            ours += " (one model in several dtypes)" if several else " (one model)"
        elif all(depth.low is not None for depth in depths):
            close = max(values) - min(values) <= SAME_DEPTH
            verdict = VERDICTS[close + all(_overlap(*pair) for pair in combinations(depths, 2))]
    return Claim(
        "the same depth in every model",
        "The best block lies at a similar depth over models and sizes.",
        f"7 models: depth {paper.DEPTHS[0]:.2f} to {paper.DEPTHS[1]:.2f}",
        ours,
        verdict,
        f"Best depths within {SAME_DEPTH:.2f} of each other, and 95 % bootstrap intervals over "
        "tasks that overlap in every pair: both hold → holds, one → weakly. Not tested with one "
        f"model, or with fewer than {FEWEST_TASKS} tasks.",
    )


def _overlap(one: Interval, other: Interval) -> bool:
    return not one.is_above(other.high) and not other.is_above(one.high)


def layers_of_runs(runs: Sequence[Run], labels: Sequence[str]) -> Drawing | None:
    """The mean curves of several runs on relative depth, the best depths below."""
    curves = [mean_curve(task_means(run.counted), run.n_layers) for run in runs]
    found = [
        (label, run.n_layers, curve)
        for label, run, curve in zip(labels, runs, curves, strict=True)
        if curve is not None
    ]
    if len(found) < 2:
        return None
    depths = "; ".join(f"{label} {curve.depth}" for label, _, curve in found)
    return Drawing(
        name="layers_of_runs",
        title="Accuracy by relative depth, all runs",
        caption=(
            "Mean over tasks of accuracy with θ injected, on relative depth (block + 1) / blocks; "
            "bands and bars: 95 % bootstrap intervals over tasks. Below: the best depth of each "
            f"run. Grey strip: the paper's seven models. {depths}."
        ),
        alternative=f"Line chart with one curve a run. Best depth: {depths}.",
        draw=lambda: _draw_runs(found),
    )


def _draw_runs(found: Sequence[tuple[str, int, Curve]]) -> "drawing.Figure":
    figure = drawing.new_figure(3.4 + 0.24 * len(found))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 0.3 * len(found) + 0.3])
    for axes in (upper, lower):
        axes.axvspan(*paper.DEPTHS, color=FAINT, alpha=0.5, linewidth=0)
    for row, (label, n_layers, curve) in enumerate(found):
        colour, line, marker = LINE_STYLES[row % len(LINE_STYLES)]
        depths = [(layer + 1) / n_layers for layer in curve.layers]
        draw_curve(upper, depths, curve, colour, line, label)
        if curve.depth.low is not None and curve.depth.high is not None:
            lower.plot([curve.depth.low, curve.depth.high], [row, row], color=colour, linewidth=2)
        lower.plot(curve.depth.value, row, marker, color=colour, markersize=6)
    upper.set(ylabel=ACCURACY, ylim=(-0.02, 1.02))
    upper.legend(loc="upper left", fontsize=7.5)
    lower.set_yticks(
        range(len(found)), [drawing.short(label) for label, _, _ in found], fontsize=7.5
    )
    lower.set(ylim=(len(found) - 0.5, -0.5), xlim=(0, 1.01))
    lower.set_xlabel("relative depth (block + 1) / blocks")
    return figure


def claims_over_seeds(runs: Sequence[tuple[Run, Sequence[Section]]]) -> Section | None:
    """A table of every claim of each model, and one of every seed; None where no model has two.

    Args:
        runs: each with its sections; those of one seed count.
    """
    models: dict[tuple[str, str], Claims] = {}
    for run, sections in runs:
        seeds = {one.seed for one in run.tasks}
        if len(seeds) == 1:
            claims, seed = models.setdefault((run.label, run.fingerprint), {}), seeds.pop()
            for claim in (one for section in sections for one in section.claims):
                claims.setdefault(claim.name, []).append((seed, claim))
    several = {
        label: claims
        for (label, _), claims in models.items()
        if any(len({seed for seed, _ in found}) > 1 for found in claims.values())
    }
    if not several:
        return None
    figures, tables = present(_values(several)), (_summary(several), _every(several))
    return Section("seeds", "Over seeds", figures=figures, tables=tables)


def _names(models: dict[str, Claims]) -> list[str]:
    return list(dict.fromkeys(name for claims in models.values() for name in claims))


def _numbers(found: Sequence[tuple[int, Claim]]) -> list[float]:
    return [claim.value for _, claim in found if claim.value is not None]


def _values(models: dict[str, Claims]) -> Drawing | None:
    """Every claim's value, a dot a seed; None where no claim has one."""
    places: dict[str, dict[str, list[float]]] = {}
    for name in _names(models):
        own = {label: _numbers(claims.get(name, ())) for label, claims in models.items()}
        if any(own.values()):
            places[name] = {label: values for label, values in own.items() if values}
    if not places:
        return None
    shown = "; ".join(
        f"{name}: " + ", ".join(f"{label} {seeds_interval(own[label])}" for label in own)
        for name, own in places.items()
    )
    return Drawing(
        name="claims_over_seeds",
        title="Every claim's value, seed by seed",
        caption=(
            "A faint dot a seed; the mean with its 95 % interval over seeds (Student's t). What "
            "the value is (a ratio, a difference, a share, a depth) the rule of each claim says."
        ),
        alternative=f"Dot plot of each claim's value over seeds: {shown}.",
        draw=lambda: _draw_values(places, list(models)),
    )


def _draw_values(
    places: Mapping[str, Mapping[str, list[float]]], labels: list[str]
) -> "drawing.Figure":
    height = 0.7 + 0.28 * len(places) * (1 + len(labels))
    figure, axes = drawing.new_axes(height, xlabel="value")
    for row, own in enumerate(places.values()):
        for index, label in enumerate(labels):
            if values := own.get(label):
                colour = COLOURS[index % len(COLOURS)]
                at, mean = row + (index + 1) / (len(labels) + 1) - 0.5, seeds_interval(values)
                axes.plot(values, [at] * len(values), "o", color=colour, alpha=0.35, markersize=4)
                if mean.low is not None and mean.high is not None:
                    axes.plot([mean.low, mean.high], [at, at], color=colour, linewidth=1.2)
                axes.plot(mean.value, at, "D", color=colour, markersize=4.5)
    axes.set_yticks(range(len(places)), list(places))
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.6)
    for index, label in enumerate(labels):
        axes.plot([], [], "D", color=COLOURS[index % len(COLOURS)], label=label)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _summary(models: dict[str, Claims]) -> Table:
    rows = []
    for name in _names(models):
        for label, claims in models.items():
            if name in claims:
                verdicts = [claim.verdict for _, claim in claims[name]]
                counts = ", ".join(f"{n} × {one}" for one, n in Counter(verdicts).most_common())
                value = _value(_numbers(claims[name]))
                rows.append((name, label, value, counts, verdict_cell(_median(verdicts))))
    return Table.of(
        "claims_over_seeds",
        "Claim by claim, over seeds",
        words("claim", "model") + numbers("value over seeds") + words("verdicts", "in all"),
        rows,
        "The value is the number that the claim's rule is about (the rules stand with each run): "
        "its mean over seeds with Student's 95 % interval, and n. In all: the median of the seeds' "
        "verdicts, the lower one of two.",
    )


def _value(values: Sequence[float]) -> Cell | None:
    if not values:
        return None
    found = seeds_interval(values)
    return Cell(f"{found} (n = {len(values)})", found.value)


def _median(verdicts: Sequence[str]) -> str:
    """The median verdict of the seeds that were tested; that none was, where none was."""
    tested = sorted(VERDICTS.index(verdict) for verdict in verdicts if verdict in VERDICTS)
    return VERDICTS[tested[(len(tested) - 1) // 2]] if tested else verdicts[0]


def _every(models: dict[str, Claims]) -> Table:
    return Table.of(
        "claims_by_seed",
        "Every seed",
        words("claim", "model") + numbers("seed") + words("here", "verdict"),
        (
            (name, label, seed, claim.ours, verdict_cell(claim.verdict))
            for label, claims in models.items()
            for name, found in claims.items()
            for seed, claim in found
        ),
        "Brackets are 95 % intervals over tasks.",
    )
