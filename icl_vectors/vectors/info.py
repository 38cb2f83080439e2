"""What a task vector is, for people: as a dictionary for JSON, as lines, as HTML for Jupyter."""

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icl_vectors.vectors.vector import TaskVector

DESCRIBED = (
    ("task", "task"),
    ("method", "method"),
    ("made by", "made_by"),
    ("model", "model"),
    ("model type", "model_type"),
    ("revision", "revision"),
    ("fingerprint", "fingerprint"),
    ("dtype", "dtype"),
    ("template", "template"),
    ("seed", "seed"),
    ("dummies", "dummies"),
    ("package version", "version"),
)
WIDTH = 24  # of the longest bar


def describe(theta: "TaskVector") -> dict[str, Any]:
    """Everything but the numbers, and their norms by layer."""
    about: dict[str, Any] = {field: getattr(theta, field) for _, field in DESCRIBED}
    about |= {"demonstrations": [list(pair) for pair in theta.demonstrations]}
    about |= {"from_folder": theta.from_folder}
    about |= {"dummies": list(theta.dummies), "best_layer": theta.best_layer}
    about |= {"hidden": theta.vectors.shape[1], "layers": list(theta.layers)}
    return about | {"norms": [round(norm, 4) for norm in theta.norms()]}


def describe_lines(theta: "TaskVector") -> list[str]:
    """The same as lines of text, norms as bars; the best layer is marked."""
    rows = [f"{name:<16}{value}" for name, value in _rows(theta)]
    longest = max(theta.norms(), default=0.0) or 1.0
    rows.append("norm by layer")
    for layer, norm in zip(theta.layers, theta.norms(), strict=True):
        bar = "█" * round(WIDTH * norm / longest)
        mark = "  best" if layer == theta.best_layer else ""
        rows.append(f"{layer:>5} {norm:>12.2f}  {bar}{mark}".rstrip())
    return rows


def describe_html(theta: "TaskVector") -> str:
    """A table for a notebook."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _rows(theta)
    )
    norms = ", ".join(
        f"{layer}: {norm:.1f}" for layer, norm in zip(theta.layers, theta.norms(), strict=True)
    )
    return f"<table>{rows}<tr><th>norm by layer</th><td>{norms}</td></tr></table>"


def _rows(theta: "TaskVector") -> list[tuple[str, str]]:
    best = "none named" if theta.best_layer is None else str(theta.best_layer)
    shape = f"{len(theta.layers)} layers × {theta.vectors.shape[1]}"
    rows = [(name, _shown(getattr(theta, field))) for name, field in DESCRIBED]
    if theta.demonstrations:
        pairs = ", ".join(f"{input}→{output}" for input, output in theta.demonstrations)
        rows.append(("demonstrations", pairs))
    if theta.from_folder:
        rows = [(name, f"{text} (a folder)" if name == "model" else text) for name, text in rows]
    return [(name, text) for name, text in rows if text] + [("shape", shape), ("best layer", best)]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
