"""The table that `compare` prints: methods beside their controls, means over tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.report.compare.gap import gap_lines
from icl_vectors.runs.schema import FEW_LABELS

HEAD = (
    f"{'method':<16}{'accuracy':>9}{'/regular':>9}{'log p':>8}{'rank':>7}{'TV':>6}{'KL':>7}"
    f"{'layer-tokens':>14}{'choosing':>12}{'seconds':>9}{'jobs':>6}"
)


VERDICTS = {
    True: "beats all controls that were run",
    False: "does NOT beat all controls",
    None: "too few prompts to tell whether it beats all controls",
}


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p {value:.3f}"


def text(data: Mapping[str, Any]) -> str:
    """Means over tasks of every method, and under each the controls with McNemar's test."""
    summary = data["compare_summary"]
    regular = next((one["accuracy"] for one in summary if one["method"] == "regular"), 0)
    lines = [HEAD]
    for one in summary:
        share = f"{one['accuracy'] / regular:.0%}" if regular else "–"
        choosing = one["layer_tokens_choosing"] + one["ranking"]
        lines.append(
            f"{one['method']:<16}{one['accuracy']:>9.2f}{share:>9}{one['log_probability']:>8.2f}"
            f"{one['rank']:>7.1f}{one['total_variation']:>6.2f}{one['divergence']:>7.2f}"
            f"{one['layer_tokens']:>14,}{choosing:>12,}{one['seconds']:>9.1f}{one['jobs']:>6}"
        )
    held = [one for one in summary if any(":" in name for name in one["against"])]
    if held:
        lines += ["", "against its controls (accuracy of the control; prompts won:lost; p)"]
    for one in held:
        cells = [
            f"{name.partition(':')[2] or name} {other['accuracy']:.2f} "
            f"({other['won']}:{other['lost']}; {_p(other['p'])})"
            for name, other in one["against"].items()
            if name != "regular"
        ]
        verdict = VERDICTS[one["beats_controls"]]
        lines.append(f"{one['method']:<16}{verdict}: " + ", ".join(cells))
    if summary:
        first = summary[0]
        tasks = "1 task" if first["n_tasks"] == 1 else f"{first['n_tasks']} tasks"
        lines += ["", f"{tasks}, {first['n']} test prompts in all."]
    return "\n".join([*lines, *gap_lines(data), *_few_labels(data["compare"])])


def _few_labels(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The methods on tasks of few labels, with a constant answer, and what fails of any task."""
    lines = []
    for one in entries:
        few, faults = 0 < one.get("n_labels", 0) <= FEW_LABELS, one.get("fails", [])
        if "of" in one or not (few or faults):
            continue
        left = one.get("apart", {})
        shown = f"{one['accuracy']:.2f}  constant {one['constant']['accuracy']:.2f}"
        if left.get("n"):
            shown += f", apart {left['accuracy']:.2f} (n {left['n']})"
        flag = f"  ! {'; '.join(faults)}" if faults else ""
        lines.append(f"{in_one_line(one['task']):<28}{one['method']:<16}{shown}{flag}")
    head = "beside a constant answer, and where no dummy gives the answer (apart)"
    return ["", head, *lines] if lines else []
