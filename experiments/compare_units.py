"""The units of a comparison: ranking the heads, one method on one task, a method's controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from icl_vectors.errors import not_finite
from icl_vectors.experiments.compare_plan import ComparePlan
from icl_vectors.experiments.compare_prompts import TaskPrompts, variant
from icl_vectors.experiments.compare_results import answers_of, cost_of, entry_of, samples_of
from icl_vectors.experiments.jobs import Jobs
from icl_vectors.experiments.observer import Observer
from icl_vectors.files import write_json, write_whole
from icl_vectors.graph_of_methods import run_method, run_ranking
from icl_vectors.memory import with_smaller_batches
from icl_vectors.methods.cost import cost_of_ranking
from icl_vectors.methods.function import FUNCTION, counts_of
from icl_vectors.methods.method import Method
from icl_vectors.methods.plain import REGULAR, ZERO_SHOT
from icl_vectors.methods.prepare import corrupted_at_once
from icl_vectors.methods.ranking import RANKING_PROMPTS, best_first
from icl_vectors.model import Model
from icl_vectors.run_folder import RunFolder, Unit
from icl_vectors.tasks import Task


@dataclass
class Units:
    """Runs the units of one comparison; what each gives is kept in the folder at once."""

    model: Model
    plan: ComparePlan
    prompts: Mapping[str, TaskPrompts]
    folder: RunFolder
    observer: Observer
    settings: dict[str, Any] = field(default_factory=dict)

    def heads(self, task: Task, unit: Unit) -> None:
        """The indirect effect of every head on one task."""
        own, model = self.prompts[task.name], self.model
        n_heads, blocks = model.n_heads, model.n_layers
        jobs, start = Jobs(model, self.folder, unit, self.observer), perf_counter()

        def run(size: int) -> tuple[Tensor, int]:
            contexts = own.batches(FUNCTION, own.dev, size)
            fewer = corrupted_at_once(size, n_heads)
            corrupted = own.corrupted(FUNCTION, fewer, RANKING_PROMPTS)
            told = self._progress(unit)
            job = jobs.job(f"batches of {size}")
            effects = run_ranking(model, contexts, corrupted, FUNCTION, told, job)
            cost = sum(FUNCTION.cost(batch, [(0,)], blocks)[0] for batch in contexts)
            return effects, cost + sum(cost_of_ranking(one, n_heads, blocks) for one in corrupted)

        (effects, cost), size = with_smaller_batches(run, own.size, self.observer.notice)
        if not effects.isfinite().all():
            raise not_finite(f"{task.name}: the logits", model.dtype, model.device)
        means = [[round(value, 6) for value in row] for row in effects.mean(0).tolist()]
        result = {"task": task.name, "effects": means, "n": len(effects), "layer_tokens": cost}
        seconds = round(perf_counter() - start, 3)
        self.folder.finish(unit, result, seconds=seconds, batch_size=size, **jobs.spent())
        best = max((one, at, head) for at, row in enumerate(means) for head, one in enumerate(row))
        self.observer.told(
            f"{task.name}: head {best[2]} of block {best[1]} has the largest indirect effect, "
            f"{best[0]:+.3f} (n {len(effects)})"
        )

    def rank(self) -> None:
        """The heads by their mean effect over the tasks, kept in heads.json for other runs."""
        plan = self.plan
        if plan.ranking is not None:
            ranked = list(plan.ranking)
        else:
            done = [self.folder.done[f"{task.name}:heads", plan.seed] for task in plan.tasks]
            mean = torch.tensor([one["effects"] for one in done]).mean(0)  # (layer, head)
            ranked = best_first(mean)
            self._keep(ranked)
        counts = counts_of(len(ranked))
        self.settings = {"ranked": [one[:2] for one in ranked], "counts": counts}

    def _keep(self, ranked: Sequence[tuple[int, int, float]]) -> None:
        """heads.json; a ranking that was given is not written again, its origin is elsewhere."""
        model = self.model
        shown = [dict(zip(("layer", "head", "effect"), one, strict=True)) for one in ranked]
        about = {"model": model.reference, "fingerprint": model.fingerprint, "dtype": model.dtype}
        names = [task.name for task in self.plan.tasks]
        found = {"schema": 1, **about, "tasks": names, "ranked": shown}
        write_json(self.folder.path / "heads.json", found)

    def method(self, task: Task, method: Method, unit: Unit) -> None:
        """One method on one task: its choice on dev, its answers on test."""
        own, model, plan = self.prompts[task.name], self.model, self.plan
        plain = method in (REGULAR, ZERO_SHOT)
        further = plan.further_shots if method is REGULAR else []
        groups = method.candidates(plan.layers, self.settings)
        jobs, start = Jobs(model, self.folder, unit, self.observer), perf_counter()

        def run(size: int) -> dict[str, Any]:
            dev = [] if plain else own.batches(method, own.dev, size)
            test = own.batches(method, own.test, size)
            found = run_method(
                model,
                method,
                self.settings,
                dev if method.pooled else [],
                dev,
                test,
                groups,
                [variant(), *(own.at_shots(method, shots, size) for shots in further)],
                self._progress(unit),
                jobs.job(f"batches of {size}"),
            )
            chosen = [one for group in groups for one in group][found["chosen"]]
            return {**found, "cost": cost_of(method, groups, chosen, dev, test, model.n_layers)}

        size = own.size_for(groups)
        found, size = with_smaller_batches(run, size, self.observer.notice)
        self._require_finite(task, found)
        spent, seconds = jobs.spent(), round(perf_counter() - start, 3)
        about = {"task": task.name, "method": method.name}
        result = {**about, **entry_of(method, groups, found, own.dev, own.test), **found["cost"]}
        result |= {"seconds": seconds, "jobs": len(spent.get("jobs", []))}
        if method.heads:
            result["ranking"] = self._cost_of_ranking(task)
        if further:
            curve = zip(further, found["measured"][2:], strict=True)
            result["shots"] = [{"shots": n, **answers_of(one, own.test)} for n, one in curve]
        if not plain:
            content = save({"vectors": found["vectors"].contiguous()})
            write_whole(self._vectors(task, method), content)
        layer = result["choice"].get("layer")
        lines = samples_of(
            model.tokenizer, unit[0], method.name, own.test, found["measured"][1], layer
        )
        asked = [one.prompt for one in [*own.dev, *own.test]] if method is REGULAR else []
        self.folder.finish(
            unit,
            result,
            prompts=asked,
            samples=lines,
            seconds=seconds,
            batch_size=size,
            **spent,
        )
        self.observer.told(_line(result))

    def controls(self, task: Task, method: Method, unit: Unit) -> None:
        """The same with vectors that should not carry the task, and under other conditions."""
        own, model = self.prompts[task.name], self.model
        before = self.folder.done[f"{task.name}:{method.name}", self.plan.seed]
        jobs, start = Jobs(model, self.folder, unit, self.observer), perf_counter()
        given = self._given(task, method)

        def run(size: int) -> dict[str, Any]:
            variants = own.variants(method, given, size)
            test = own.batches(method, own.test, size)
            found = run_method(
                model,
                method,
                self.settings,
                own.batches(method, own.dev, size) if method.pooled else [],
                [],
                test,
                [[tuple(before["candidate"])]],
                list(variants.values()),
                self._progress(unit),
                jobs.job(f"batches of {size}"),
            )
            return {**found, "names": list(variants)}

        found, size = with_smaller_batches(run, own.size, self.observer.notice)
        self._require_finite(task, found)
        results: dict[str, Any] = {}
        samples: list[dict[str, Any]] = []
        for name, measured in zip(found["names"], found["measured"][1:], strict=True):
            scored = own.scored(name)
            results[name] = answers_of(measured, scored)
            if name in self.plan.controls:
                layer, label = before["choice"].get("layer"), f"{method.name}:{name}"
                samples += samples_of(model.tokenizer, unit[0], label, scored, measured, layer)
        result = {"task": task.name, "method": method.name, "variants": results}
        seconds = round(perf_counter() - start, 3)
        self.folder.finish(
            unit, result, samples=samples, seconds=seconds, batch_size=size, **jobs.spent()
        )
        shown = ", ".join(f"{name!r} {one['accuracy']:.2f}" for name, one in results.items())
        self.observer.told(f"{task.name}, {method.name} otherwise: {shown}")

    def _given(self, task: Task, method: Method) -> dict[str, Tensor]:
        """Mean vectors of another task, and over all tasks; nothing for a single task."""
        other = self.plan.other(task)
        if other is None:
            return {}
        means = {
            one.name: load_file(self._vectors(one, method))["vectors"] for one in self.plan.tasks
        }
        return {
            "other-task": means[other.name],
            "task-mean": torch.stack([*means.values()]).mean(0),
        }

    def _vectors(self, task: Task, method: Method) -> Path:
        """Mean vectors, for the controls of other tasks; `extract --method` makes those to keep."""
        folder = self.folder.path / "compared"
        folder.mkdir(exist_ok=True)
        return folder / f"{task.name}.seed{self.plan.seed}.{method.name}.safetensors"

    def _cost_of_ranking(self, task: Task) -> int:
        done = self.folder.done.get((f"{task.name}:heads", self.plan.seed), {})
        return int(done.get("layer_tokens", 0))

    def _progress(self, unit: Unit) -> Callable[[str, int], None]:
        totals = {"dev": self.plan.dev, "test": self.plan.test, "heads": RANKING_PROMPTS}
        seen = dict.fromkeys(totals, 0)
        first = "heads" if unit[0].endswith(":heads") else "dev"
        self.observer.phase(*unit, first, 0, totals[first])

        def progress(phase: str, prompts: int) -> None:
            seen[phase] += prompts
            self.observer.phase(*unit, phase, min(seen[phase], totals[phase]), totals[phase])

        return progress

    def _require_finite(self, task: Task, found: Mapping[str, Any]) -> None:
        scores = torch.stack([one[1] for one in found["measured"]])  # log-probabilities
        if not bool(found["finite"]) or not scores.isfinite().all():
            raise not_finite(f"{task.name}: the logits", self.model.dtype, self.model.device)


def _line(result: Mapping[str, Any]) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in result["choice"].items())
    figures = f"{result['accuracy']:.2f} [{result['low']:.2f}, {result['high']:.2f}]"
    about = f"n {result['n']}" + (f"; {chosen}" if chosen else "")
    return f"{result['task']}, {result['method']}: {figures} ({about})"
