"""What was found as HTML, a figure and code; nothing that was typed or answered runs as HTML."""

import shlex
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from icl_vectors.explore.bench import ALONE, CONFLICT, MEAN, MINUS, Asked, Bench, Found
from icl_vectors.plain_text import in_one_line
from icl_vectors.prompts.template import load_template
from icl_vectors.report.drawing import INK, Drawing, new_figure, render
from icl_vectors.report.table import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

MARKS = {"equals_regular": "same", "echo": "echo", "copies_dummy": "copy"}
LEGEND = (
    '<p class="legend"><b class="same">bold and underlined</b>: the regular answer, right or not · '
    '<i class="echo">slanted</i>: the query itself · <s class="copy">struck out</s>: '
    "a dummy's answer · darker: more probable. Press a cell for its ten likeliest tokens and the "
    "whole answer.</p>"
)
HINT = '<p class="legend">“Answers by block” shows here what θ makes of each query.</p>'
SHORTEST = 12  # characters of an answer that a cell shows


def text(value: object) -> str:
    """Text of others for a page: control characters shown, markup and templates as characters."""
    plain = escape(in_one_line(str(value)), quote=True)
    return plain.replace("$", "&#36;").replace("{", "&#123;").replace("`", "&#96;")


def complaint(message: str, number: int = 0) -> str:
    """An error in one line, or none; the number tells answers apart that look alike."""
    if not message:
        return f'<span data-number="{number}"></span>'
    return f'<p class="error" role="alert" data-number="{number}">{text(message)}</p>'


def opening(reference: str) -> str:
    """What stands in the prompt's place while the model is opened."""
    return f'<p class="legend">Opening {text(reference)} …</p>'


def prompt(tokens: Sequence[str], model: str) -> str:
    """A prompt's tokens, the arrow marked."""
    *before, arrow = [text(token) for token in tokens]
    shown = "".join(f"<span>{token}</span>" for token in before)
    return (
        f'<p class="prompt" aria-label="the prompt, {len(tokens)} tokens">{shown}'
        f"<mark>{arrow}</mark></p><p class='legend'>{len(tokens)} tokens of {text(model)}; θ is "
        "the state at the marked arrow, with a dummy in the query's place.</p>"
    )


def table(found: Found) -> str:
    """Queries × blocks: the first token answered with θ injected there."""
    frame = found.frame
    layers = list(dict.fromkeys(frame["layer"]))
    head = "".join(f"<th>{layer}</th>" for layer in layers)
    of_b = found.asked.use == CONFLICT
    first, last = ("in A's prompt", "after B's") if of_b else ("baseline", "regular")
    rows = []
    for number, query in enumerate(dict.fromkeys(frame["query"])):
        own = frame[frame["query"] == query]
        cells = "".join(_cell(row, number) for row in own.to_dict("records"))
        beside = own.iloc[0]
        regular = beside["regular"] if isinstance(beside["regular"], str) else "–"
        whole = f"<td>{text(found.together[number])}</td>" if found.together else ""
        rows.append(
            f"<tr><th>{text(query)}</th><td>{text(beside['baseline'])}</td>{cells}"
            f"<td>{text(regular)}</td>{whole}</tr>"
        )
    more = f"<th>at {text(found.asked.together)}</th>" if found.together else ""
    return (
        f"{_best(frame)}"
        '<div class="scroll"><table><caption>The first token, with θ injected at block</caption>'
        f"<thead><tr><th>query</th><th>{first}</th>{head}<th>{last}</th>{more}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{LEGEND}"
    )


def _best(frame: "DataFrame") -> str:
    """At which blocks most queries get the regular answer."""
    if frame["equals_regular"].isna().any():
        return ""
    counts = frame.groupby("layer")["equals_regular"].sum()
    most, queries = int(counts.max()), frame["query"].nunique()
    if not most:
        return "<p>At no block does any query get the regular answer.</p>"
    blocks = ", ".join(str(layer) for layer in counts.index[counts == most])
    return f"<p>The regular answer to {most} of {queries} queries at block {blocks}.</p>"


def _cell(row: dict[str, Any], number: int) -> str:
    marks = " ".join(name for key, name in MARKS.items() if row[key] is True)
    shown = visible(str(row["answer"]))
    shown = shown if len(shown) <= SHORTEST else f"{shown[: SHORTEST - 1]}…"
    about = f"block {row['layer']}, {row['probability']:.2f}"
    return (
        f'<td style="--p:{row["probability"]:.3f}"><button class="{marks}" title="{about}" '
        f'aria-label="{about}: {text(row["answer"])}" data-at="{number}:{row["layer"]}">'
        f"{text(shown)}</button></td>"
    )


def details(query: str, layer: int, row: Any, whole: str) -> str:
    """One cell: its likeliest tokens, and the whole answer."""
    items = "".join(
        f"<li><code>{text(token)}</code> {probability:.3f}</li>"
        for token, probability in row["top"]
    )
    return (
        f"<h3>{text(query)}, θ at block {layer}</h3><p>Whole answer: "
        f"<strong>{text(whole)}</strong></p><p>Likeliest first tokens:</p><ol>{items}</ol>"
    )


def words(frame: "DataFrame") -> str:
    """θ at each block as tokens."""
    rows = []
    for layer, own in frame.groupby("layer"):
        of = {kind: _boxes([*part["token"]]) for kind, part in own.groupby("of")}
        rows.append(f"<tr><th>{layer}</th><td>{of['theta']}</td><td>{of['added']}</td></tr>")
    return (
        '<div class="scroll"><table><thead><tr><th>block</th><th>θ, its likeliest tokens</th>'
        f"<th>what θ adds to the queries' own state</th></tr></thead><tbody>{''.join(rows)}"
        "</tbody></table></div>"
    )


def _boxes(tokens: Sequence[str]) -> str:
    return " ".join(f"<code>{text(visible(token))}</code>" for token in tokens)


def cosines(values: Sequence[float]) -> str:
    """The cosine between θ of A and of B, by block."""
    if not values:
        return ""
    cells = "".join(f"<td>{value:.2f}</td>" for value in values)
    heads = "".join(f"<th>{layer}</th>" for layer in range(len(values)))
    return (
        f'<p>Cosine between θ of A and of B, by block:</p><div class="scroll"><table><thead><tr>'
        f"{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table></div>"
    )


def figure(found: Found) -> str:
    """The table as an SVG."""
    return render(Drawing("layers", "", "", "", lambda: _draw(found.frame))).svg


def _draw(frame: "DataFrame") -> "Figure":
    queries, layers = (list(dict.fromkeys(frame[name])) for name in ("query", "layer"))
    grid = frame.pivot(index="query", columns="layer", values="probability").loc[queries]
    picture = new_figure(1.0 + 0.3 * len(queries), width=2.0 + 0.55 * len(layers))
    axes = picture.subplots()
    axes.pcolormesh(grid, cmap="Blues", vmin=0, vmax=1.4)
    for row in frame.to_dict("records"):
        place = layers.index(row["layer"]) + 0.5, queries.index(row["query"]) + 0.5
        weight = "bold" if row["equals_regular"] is True else "normal"
        shown = str(row["answer"])[:SHORTEST]
        axes.text(*place, shown, fontsize=6, ha="center", va="center", weight=weight, color=INK)
    axes.set_xticks([at + 0.5 for at in range(len(layers))], layers)
    axes.set_yticks([at + 0.5 for at in range(len(queries))], queries)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlabel("block at which θ is injected (bold: the regular answer)")
    return picture


def code(asked: Asked, reference: str) -> str:
    """The Python that gives exactly this, and the command where there is one."""
    form = f", template={asked.template!r}"
    python = ["import icl_vectors as icl", "", f"model = icl.load_model({reference!r})"]
    for name, bench in (("a", asked.a), ("b", asked.b)):
        if name == "a" or asked.use != ALONE:
            shown = f"{list(bench.pairs)!r}, {list(bench.dummies)!r}"
            python.append(f"{name} = icl.extract(model, {shown}{form})")
    theta = {ALONE: "a", CONFLICT: "b", MINUS: "a - b", MEAN: "icl.TaskVector.mean([a, b])"}
    given = {key: value for key, value in asked.injection.items() if value is not None}
    options = "".join(f", {key}={value!r}" for key, value in given.items())
    queries = f"{list(asked.queries)!r}"
    python += [
        f"theta = {theta[asked.use]}",
        f"icl.apply_by_layer(model, theta, {queries}, layers={asked.layers!r}{options})",
    ]
    if asked.use != ALONE:
        return "\n".join(python)
    return "\n".join([*python, "", *(f"# {line}" for line in command(asked, reference))])


def command(asked: Asked, reference: str) -> list[str]:
    """The commands that print the same table for one bench."""
    template = ["--template", asked.template]
    demos = _demos(asked.a, load_template(asked.template).arrow)
    extract = ["icl-vectors", "extract", "--model", reference, *demos, *template]
    apply = ["icl-vectors", "apply", "theta.safetensors", "--by-layer", "--model", reference]
    apply += ["--scale", f"{asked.scale:g}", *(["--mode", asked.mode] if asked.mode else [])]
    apply += ["--layer", asked.layers] if asked.layers != "all" else []
    return [
        shlex.join([*extract, "--layer", "all", "-o", "theta.safetensors"]),
        shlex.join([*apply, "--", *asked.queries]),
    ]


def _demos(bench: Bench, arrow: str) -> list[str]:
    found = [f"--demo={input}{arrow}{output}" for input, output in bench.pairs]
    return found + [f"--dummy={dummy}" for dummy in bench.dummies]
