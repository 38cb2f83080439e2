"""Which figures a run has, in the order of the report."""

from collections.abc import Sequence

from icl_vectors.report.drawing import Drawing
from icl_vectors.report.figures_of_clusters import (
    distance_histogram,
    heat_map,
    maps,
    silhouette_by_layer,
)
from icl_vectors.report.figures_of_comparison import comparison_drawings
from icl_vectors.report.figures_of_layers import layers_by_task, layers_mean, layers_of_runs
from icl_vectors.report.figures_of_methods import conflicts, methods_by_task
from icl_vectors.report.run import Run


def figures_of(run: Run) -> list[Drawing]:
    """The figures for which the run has data."""
    drawings = [
        methods_by_task(run),
        layers_mean(run),
        layers_by_task(run),
        *maps(run),
        distance_histogram(run),
        heat_map(run),
        silhouette_by_layer(run),
        conflicts(run),
        *comparison_drawings(run),
    ]
    return [drawing for drawing in drawings if drawing is not None]


def figures_of_all(runs: Sequence[Run], labels: Sequence[str]) -> list[Drawing]:
    """The figures that compare several runs."""
    drawing = layers_of_runs(runs, labels)
    return [] if drawing is None else [drawing]
