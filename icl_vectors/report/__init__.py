"""The report: figures, tables, verdicts and one HTML page, drawn from run folders alone.

A module or package of an experiment's name holds that experiment's part: `sections(run)` for the
report and `text(data)` for the terminal. Nothing here loads a model, torch, transformers or
nnsight; matplotlib is imported when drawing.
"""
