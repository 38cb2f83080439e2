"""Every kind of task vector on the same prompts, each beside its controls."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_vectors.engine.experiment import Experiment, Outcome, in_python
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.experiments.measures import COMPARISON
from icl_vectors.layers import parse_layers
from icl_vectors.prompts.labels import COMPARISON_OF_LABELS
from icl_vectors.runs.files import read_lines, write_json
from icl_vectors.runs.folder import Unit

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context

KEYS = ("task", "method", "n", "accuracy", "low", "high", "log_probability", "rank")


class Compare(Experiment):
    """Kinds of task vectors on the same prompts, beside controls.

    Every method makes its own choices on dev; `compare_summary` has means over tasks with
    McNemar's exact tests against the controls.

    Example: icl-vectors compare --tasks antonyms,to_upper --methods state,function,icv
    """

    name = "compare"
    Config = CompareConfig
    config: CompareConfig

    def __init__(self, model: Any, config: CompareConfig, at: Any) -> None:
        from icl_vectors.experiments.compare.prompts import TaskPrompts
        from icl_vectors.graph.hooks import hook_points
        from icl_vectors.models.probe import require_gradients
        from icl_vectors.runs.ranking import read_ranking

        super().__init__(model, config, at)
        self.layers = parse_layers(config.layers, model.n_layers)
        self.ranking = read_ranking(config.heads, model.n_layers, model.n_heads)
        for name in (method.name for method in config.chosen if method.gradients):
            require_gradients(model, name)
        if any(method.attention for method in config.chosen):
            hook_points(model, attention=True)  # refuses models whose attention can't be read
        self.prompts = {task.name: TaskPrompts.make(model, config, task) for task in config.tasks}
        for method in config.chosen:
            for own in self.prompts.values() if "taught" in method.inputs else ():
                own.taught(method, own.dev)  # refuses tasks that leave nothing to train on

    def configuration(self) -> dict[str, Any]:
        by_labels = self.config.answer == "labels"
        ranked = "ranked here" if self.ranking is None else [list(one) for one in self.ranking]
        return self.config.recorded(
            layers=list(self.layers),
            arrows=[template.text for template in self.config.templates],
            shots_curve=list(self.config.curve),
            heads=ranked,
            answer=self.config.answer if by_labels else None,  # as in older folders
            comparison=COMPARISON_OF_LABELS if by_labels else COMPARISON,
        )

    def units(self) -> list[Unit]:
        return list(self._runs)

    @cached_property
    def _runs(self) -> dict[Unit, Callable[..., Outcome]]:
        """How each unit is measured: heads, then methods, regular and zero-shot first, controls."""
        from icl_vectors.experiments.compare import units
        from icl_vectors.methods.plain import REGULAR, ZERO_SHOT

        config, seed = self.config, self.config.seed
        found: dict[Unit, Callable[..., Outcome]] = {}
        if self.ranking is None and any(method.heads for method in config.chosen):
            for task in config.tasks:
                found[f"{task.name}:heads", seed] = partial(units.heads, task)
        for task in config.tasks:
            for method in (REGULAR, ZERO_SHOT, *config.chosen):
                unit = f"{task.name}:{method.name}", seed
                found[unit] = partial(units.method, task, method)
        if config.has_variants:
            for task in config.tasks:
                for method in config.chosen:
                    unit = f"{task.name}:{method.name}:controls", seed
                    found[unit] = partial(units.controls, task, method)
        return found

    def measure(self, unit: Unit, context: "Context") -> Outcome:
        return self._runs[unit](self, context)

    def stage(self, unit: Unit) -> int:
        """Methods need the ranked heads, controls the vectors of all tasks."""
        return {"heads": 0, "controls": 2}.get(unit[0].rpartition(":")[2], 1)

    def summarise(self, done: Mapping[Unit, Mapping[str, Any]]) -> dict[str, Any]:
        from icl_vectors.experiments.compare.summary import summarise

        return summarise(self.config, done, read_lines(self.folder.path / "samples.jsonl"))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Heads by their mean effect over the tasks, best first, and how many are tried.

        They are written to heads.json for other runs; a ranking that was given is not.
        """
        import torch

        from icl_vectors.methods.function import counts_of
        from icl_vectors.runs.ranking import best_first

        config, model = self.config, self.model
        if not any(method.heads for method in config.chosen):
            return {}
        ranked = list(self.ranking or ())
        if self.ranking is None:
            done = [self.folder.done[f"{task.name}:heads", config.seed] for task in config.tasks]
            ranked = best_first(torch.tensor([one["effects"] for one in done]).mean(0))
            shown = [dict(zip(("layer", "head", "effect"), one, strict=True)) for one in ranked]
            about: dict[str, Any] = {"model": model.reference, "fingerprint": model.fingerprint}
            about |= {"dtype": model.dtype, "tasks": [task.name for task in config.tasks]}
            write_json(self.folder.path / "heads.json", {"schema": 1, **about, "ranked": shown})
        return {"ranked": [one[:2] for one in ranked], "counts": counts_of(len(ranked))}

    def vectors_path(self, task: str, method: str) -> Path:
        """Mean vectors, for the controls of other tasks; `extract --method` makes those to keep."""
        folder = self.folder.path / "compared"
        folder.mkdir(exist_ok=True)
        return folder / f"{task}.seed{self.config.seed}.{method}.safetensors"

    @staticmethod
    def line(result: Mapping[str, Any]) -> str:
        if "effects" in result:
            rows = enumerate(result["effects"])
            best, layer, head = max((one, at, n) for at, row in rows for n, one in enumerate(row))
            return (
                f"{result['task']}: head {head} of block {layer} has the largest indirect "
                f"effect, {best:+.3f} (n {result['n']})"
            )
        if "variants" in result:
            shown = result["variants"].items()
            cells = ", ".join(f"{name!r} {one['accuracy']:.2f}" for name, one in shown)
            return f"{result['task']}, {result['method']}, varied: {cells}"
        chosen = ", ".join(f"{name} {value}" for name, value in result["choice"].items())
        cells = f"{result['accuracy']:.2f} [{result['low']:.2f}, {result['high']:.2f}]"
        about = f"n {result['n']}" + (f"; {chosen}" if chosen else "")
        return f"{result['task']}, {result['method']}: {cells} ({about})"

    @staticmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        keys = (*KEYS, "total_variation", "divergence", "layer_tokens")
        for entry in data["compare"]:
            of, control = entry.get("of", ""), entry.get("control", "")
            yield {**{key: entry.get(key) for key in keys}, "of": of, "control": control}


compare = in_python(Compare)
"""`compare(model, …)` runs the experiment; its options are the fields of `CompareConfig`."""
