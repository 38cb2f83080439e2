"""The report: figures, tables, verdicts and one HTML page, drawn from run folders alone.

Nothing here loads a model, torch, transformers or nnsight; matplotlib is imported when drawing.
"""

from icl_vectors.report.write import write_figures_and_tables, write_report

__all__ = ["write_figures_and_tables", "write_report"]
