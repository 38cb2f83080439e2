"""Every kind of task vector on the same prompts, each beside its controls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from icl_vectors.checking import require_checked
from icl_vectors.experiments.compare_plan import ComparePlan
from icl_vectors.experiments.compare_prompts import TaskPrompts
from icl_vectors.experiments.compare_results import summarise
from icl_vectors.experiments.compare_units import Units
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.plan_of_run import open_folder
from icl_vectors.files import read_lines
from icl_vectors.given import takes_numbers
from icl_vectors.memory import forget_peak, peak_bytes
from icl_vectors.methods.places import places
from icl_vectors.methods.plain import REGULAR, ZERO_SHOT
from icl_vectors.models import as_model
from icl_vectors.notebook import default_observer
from icl_vectors.run_folder import Unit
from icl_vectors.tasks import Task
from icl_vectors.turns import takes_turns


@takes_turns
@takes_numbers
def compare(
    model: Any,
    tasks: str | Iterable[str | Task] = "all",
    methods: str | Sequence[str] = "all",
    controls: str | Sequence[str] = "all",
    *,
    output: str | Path,
    shots: int = 5,
    dummies: int = 2,
    dev: int = 50,
    test: int = 50,
    layers: str | Iterable[int] = "all",
    seed: int = 41,
    template: str = "{input}→{output}",
    arrows: str = "",
    shots_curve: str = "",
    heads: str | Path | None = None,
    batch_size: int | None = None,
    observer: Observer | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compare kinds of task vectors: the same prompts, each one's own choices made on dev.

    Args:
        methods: "all", or names, or a text with commas between them; see `icl_vectors.methods`.
        controls: "all", "none", or of random (vectors of the same norms), shuffled (from
            demonstrations with shuffled answers), other-task and task-mean (mean vectors of
            another task, and over all tasks).
        arrows: further arrows, blanks between them: vectors made under the template are also put
            into queries with each of these.
        shots_curve: numbers of demonstrations, commas between them, at which regular and every
            method are also measured, with the choices of `shots`.
        heads: the heads.json of an earlier comparison, in place of ranking the heads here.

    Returns:
        The content of results.json: `compare`, one entry a task and method, controls included;
        `compare_summary`, means over tasks with McNemar's tests; and, where asked,
        `compare_arrows` and `compare_shots`.

    Raises:
        IclVectorsError: an option can't be right, or `output` holds another configuration.
        RunError: logits are not finite, or memory does not suffice.
    """
    model, observer = as_model(model), observer or default_observer()
    plan = ComparePlan.make(
        model.n_layers,
        model.n_heads,
        tasks,
        methods,
        controls,
        shots=shots,
        dummies=dummies,
        dev=dev,
        test=test,
        layers=layers,
        seed=seed,
        template=template,
        arrows=arrows,
        shots_curve=shots_curve,
        heads=heads,
    )
    forget_peak(model)
    if any(method.attention for method in plan.methods):
        places(model, attention=True)  # refuses models whose attention can't be told
    prompts = {task.name: TaskPrompts.make(model, plan, task, batch_size) for task in plan.tasks}
    config = plan.configuration()
    with open_folder(output, "compare", model, plan.template, config, provenance) as folder:
        units = Units(model, plan, prompts, folder, observer)
        observer.started(plan.n_units, len(folder.done))

        def once(name: str, run: Callable[[Unit], None]) -> None:
            if (name, seed) not in folder.done:
                require_checked(model, plan.template)
                run((name, seed))

        def write() -> dict[str, Any]:
            found = summarise(plan, folder.done, read_lines(folder.path / "samples.jsonl"))
            about = {"model": model.reference, "dtype": model.dtype, "n_layers": model.n_layers}
            return folder.write_results({**about, **found}, peak_memory=peak_bytes(model))

        if plan.ranks_heads:
            for task in plan.tasks:
                once(f"{task.name}:heads", partial(units.heads, task))
        if any(method.heads for method in plan.methods):
            units.rank()
        for task in plan.tasks:
            for method in (REGULAR, ZERO_SHOT, *plan.methods):
                once(f"{task.name}:{method.name}", partial(units.method, task, method))
            write()
        if plan.has_variants:
            for task in plan.tasks:
                for method in plan.methods:
                    name = f"{task.name}:{method.name}:controls"
                    once(name, partial(units.controls, task, method))
                write()
        return write()
