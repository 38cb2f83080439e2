"""What was found as HTML, a figure and code; nothing that was typed or answered runs as HTML."""

import shlex
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from icl_vectors.explore.bench import ALONE, CONFLICT, MEAN, MINUS, Asked, Found
from icl_vectors.plain_text import in_one_line
from icl_vectors.prompts.template import load_template
from icl_vectors.report.drawing import INK, Drawing, new_figure, render
from icl_vectors.report.table import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

SHORTEST = 12  # characters of an answer that the figure shows


def text(value: object) -> Markup:
    """Text of others for a page: control characters shown, markup and templates as characters."""
    if isinstance(value, Markup):
        return value
    plain = escape(in_one_line(str(value)), quote=True)
    return Markup(plain.replace("$", "&#36;").replace("{", "&#123;").replace("`", "&#96;"))


def _parts() -> Any:
    """The macros of the page, each value of which goes through `text`."""
    forms = Environment(autoescape=True, finalize=text, trim_blocks=True, lstrip_blocks=True)
    forms.filters["visible"] = visible
    return forms.from_string((Path(__file__).parent / "found.jinja").read_text("utf-8")).module


PARTS = _parts()


def table(found: Found) -> str:
    """Queries × blocks: the first token answered with θ injected there."""
    of_b = found.asked.use == CONFLICT
    first, last = ("in A's prompt", "after B's") if of_b else ("baseline", "regular")
    rows = [own.to_dict("records") for _, own in found.frame.groupby("query", sort=False)]
    best = _best(found.frame)
    return str(PARTS.table(best, rows, first, last, found.asked.together, found.together))


def _best(frame: "DataFrame") -> str:
    """At which blocks most queries get the regular answer."""
    if frame["equals_regular"].isna().any():
        return ""
    counts = frame.groupby("layer")["equals_regular"].sum()
    most, queries = int(counts.max()), frame["query"].nunique()
    if not most:
        return "At no block does any query get the regular answer."
    blocks = ", ".join(str(layer) for layer in counts.index[counts == most])
    return f"The regular answer to {most} of {queries} queries at block {blocks}."


def words(frame: "DataFrame") -> str:
    """θ at each block as tokens, and what it adds."""
    kinds = frame.groupby(["layer", "of"])["token"].agg(list).unstack()
    return str(PARTS.words(list(zip(kinds.index, kinds[["theta", "added"]].values, strict=True))))


def figure(found: Found) -> str:
    """The table as an SVG."""
    return render(Drawing("layers", "", "", "", lambda: _draw(found.frame))).svg


def _draw(frame: "DataFrame") -> "Figure":
    queries, layers = (list(dict.fromkeys(frame[name])) for name in ("query", "layer"))
    grid = frame["probability"].to_numpy().reshape(len(queries), len(layers))
    picture = new_figure(1.0 + 0.3 * len(queries), width=2.0 + 0.55 * len(layers))
    axes = picture.subplots()
    axes.pcolormesh(grid, cmap="Blues", vmin=0, vmax=1.4)
    for number, row in enumerate(frame.to_dict("records")):
        down, right = divmod(number, len(layers))
        weight = "bold" if row["equals_regular"] is True else "normal"
        how: Any = {"fontsize": 6, "ha": "center", "va": "center", "weight": weight, "color": INK}
        axes.text(right + 0.5, down + 0.5, str(row["answer"])[:SHORTEST], **how)
    axes.set_xticks([at + 0.5 for at in range(len(layers))], layers)
    axes.set_yticks([at + 0.5 for at in range(len(queries))], queries)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlabel("block at which θ is injected (bold: the regular answer)")
    return picture


def code(asked: Asked, reference: str) -> str:
    """The Python that gives exactly this, and with one bench the commands that print it."""
    benches = {"a": asked.a} if asked.use == ALONE else {"a": asked.a, "b": asked.b}
    extracted = [
        f"{name} = icl.extract(model, {list(bench.pairs)!r}, {list(bench.dummies)!r}, "
        f"template={asked.template!r})"
        for name, bench in benches.items()
    ]
    theta = {ALONE: "a", CONFLICT: "b", MINUS: "a - b", MEAN: "icl.TaskVector.mean([a, b])"}
    given = {"layers": asked.layers, **asked.injection}
    options = "".join(f", {key}={value!r}" for key, value in given.items() if value is not None)
    python = [
        "import icl_vectors as icl\n",
        f"model = icl.load_model({reference!r})",
        *extracted,
        f"theta = {theta[asked.use]}",
        f"icl.apply_by_layer(model, theta, {list(asked.queries)!r}{options})",
    ]
    commands = _commands(asked, reference) if asked.use == ALONE else []
    return "\n".join([*python, *commands])


def _commands(asked: Asked, reference: str) -> list[str]:
    arrow, own = load_template(asked.template).arrow, ["--model", reference]
    shown = [f"--demo={input}{arrow}{output}" for input, output in asked.a.pairs]
    shown += [f"--dummy={dummy}" for dummy in asked.a.dummies]
    how = ["--scale", f"{asked.scale:g}", *(["--mode", asked.mode] if asked.mode else [])]
    how += ["--layer", asked.layers] if asked.layers != "all" else []
    extract = ["extract", *own, *shown, "--template", asked.template, "--layer", "all"]
    apply = ["apply", "theta.safetensors", "--by-layer", *own, *how, "--", *asked.queries]
    return [
        f"\n# {shlex.join(['icl-vectors', *extract, '-o', 'theta.safetensors'])}",
        f"# {shlex.join(['icl-vectors', *apply])}",
    ]
