"""θ of one precision injected into the same model in another: does it still carry the task?

Works on finished sweeps of one model, a folder for each dtype. Their prompts are the same, and θ
is read and injected at the block that the first dtype's sweep chose on dev, so that all cells of
the matrix differ in precision alone.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.graph.precision import run_injection
from icl_vectors.models.memory import choose_batch_size
from icl_vectors.models.model import Model
from icl_vectors.prompts.batches import Batch, make_batches
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.limits import encode_prompts
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template
from icl_vectors.runs.folder import Unit, read_json
from icl_vectors.runs.recovery import lines_of_sweep
from icl_vectors.scoring import accuracy

SCHEMA = 1


class CrossPrecision:
    """The matrix of givers and receivers, filled model by model (each may be opened alone).

    Args:
        reference: the folder of the first dtype's finished sweep.
    """

    def __init__(self, reference: Path) -> None:
        results, run = read_json(reference / "results.json"), read_json(reference / "run.json")
        self.reference = str(results["dtype"])
        self._about = {"model": results["model"], "weights": run["model"]["weights"]}
        self._fingerprint = run["model"]["fingerprint"]
        self._template = Template.of_run(run)
        self._layers: dict[Unit, int] = {
            (entry["task"], entry["seed"]): entry["best_layer"] for entry in results["tasks"]
        }
        self._prompts = _test_prompts(reference)
        self._thetas: dict[str, dict[Unit, Tensor]] = {}
        self._cells: list[dict[str, Any]] = []

    def read_thetas(self, model: Model) -> None:
        """Read each test prompt's θ under this model's dtype.

        Raises:
            RunError: a state is not finite.
        """
        self._require_same(model)
        thetas: dict[Unit, Tensor] = {}
        for unit, layer in self._layers.items():
            found = run_many_thetas(model, self._batches(model, unit), layer)[:, 0]
            if not found.isfinite().all():
                where = f"{unit[0]}: the states of block {layer}"
                raise not_finite(where, model.dtype, model.device)
            thetas[unit] = found  # (prompt, hidden)
        self._thetas[model.dtype] = thetas

    def inject(self, model: Model) -> None:
        """Put every dtype's θ into this model, on the same queries.

        Raises:
            RunError: a logit is not finite.
        """
        self._require_same(model)
        for unit, layer in self._layers.items():
            given = {dtype: thetas[unit] for dtype, thetas in self._thetas.items()}
            answers, finite = run_injection(model, self._batches(model, unit), given, layer)
            if not finite:
                raise not_finite(f"{unit[0]}: the logits", model.dtype, model.device)
            accepted = [one.accepted for one in self._encoded(model, unit)]
            for dtype, tokens in answers.items():
                right = [t in own for t, own in zip(tokens.tolist(), accepted, strict=True)]
                measured = accuracy(right)
                cell = {"giver": dtype, "receiver": model.dtype, "task": unit[0], "seed": unit[1]}
                counts = {"layer": layer, "n": measured.n, "hits": sum(right)}
                self._cells.append({**cell, **counts, **measured.to_json()})

    def results(self) -> dict[str, Any]:
        """What was found, as plain JSON: one cell a giver, receiver, task and seed."""
        about = {"schema": SCHEMA, **self._about, "reference": self.reference}
        return {**about, "dtypes": list(self._thetas), "cells": self._cells}

    def _require_same(self, model: Model) -> None:
        if model.fingerprint != self._fingerprint:
            raise IclVectorsError(
                f"expected the same checkpoint in another dtype (fingerprint {self._fingerprint}), "
                f"found {model.reference} ({model.fingerprint})."
            )

    def _batches(self, model: Model, unit: Unit) -> list[Batch]:
        encoded = self._encoded(model, unit)
        size = choose_batch_size(model, encoded)
        return make_batches(encoded, size, model.way, with_query=False)

    def _encoded(self, model: Model, unit: Unit) -> list[EncodedPrompt]:
        return encode_prompts(model, self._template, self._prompts[unit])


def _test_prompts(folder: Path) -> dict[Unit, list[Prompt]]:
    found: dict[Unit, list[Prompt]] = {}
    for line in lines_of_sweep(folder / "prompts.jsonl"):
        if line["split"] == "test":
            one = {key: line[key] for key in ("id", "task", "seed", "split", "query")}
            one |= {key: tuple(line[key]) for key in ("answers", "dummies")}
            shown = tuple((input, output) for input, output in line["demonstrations"])
            instruction = line.get("instruction", "")
            prompt = Prompt(demonstrations=shown, instruction=instruction, **one)
            found.setdefault((prompt.task, prompt.seed), []).append(prompt)
    return found
