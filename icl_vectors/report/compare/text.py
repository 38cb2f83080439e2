"""The table that `compare` prints: methods beside their controls, means over tasks."""

from collections.abc import Mapping
from typing import Any

HEAD = (
    f"{'method':<16}{'accuracy':>9}{'/regular':>9}{'log p':>8}{'rank':>7}{'TV':>6}{'KL':>7}"
    f"{'layer-tokens':>14}{'choosing':>12}{'seconds':>9}{'jobs':>6}"
)


VERDICTS = {
    True: "beats all controls that were run",
    False: "does NOT beat all controls",
    None: "too few prompts to tell of all controls",
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
    first = summary[0]
    tasks = "1 task" if first["n_tasks"] == 1 else f"{first['n_tasks']} tasks"
    lines += ["", f"{tasks}, {first['n']} test prompts in all."]
    return "\n".join(lines)
