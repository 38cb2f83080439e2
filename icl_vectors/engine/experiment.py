"""What an experiment is, and the one loop that runs all of them.

An experiment says what its units are, what one unit's session measures, and how the results are
summed up. The loop opens the folder, skips what is done, records jobs, draws progress and writes
results.json.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from icl_vectors.engine.config import Config
from icl_vectors.engine.results import Results
from icl_vectors.errors import UnitRefused
from icl_vectors.notebook import default_observer
from icl_vectors.observer import Observer
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.runs.folder import RunFolder, Unit
from icl_vectors.runs.schema import Model
from icl_vectors.turns import takes_turns

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context
    from icl_vectors.models.model import Model as OpenModel

PAUSE = 5.0  # seconds between two writings of results.json; what is done is in the records


@dataclass(frozen=True)
class Outcome:
    """What one unit gave.

    Attributes:
        result: its entry, plain JSON.
        files: what it wrote by itself; without one of them the unit is run again.
    """

    result: Mapping[str, Any]
    prompts: Sequence[Prompt] = ()
    samples: Sequence[Mapping[str, Any]] = ()
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class Surroundings:
    """Where an experiment runs: its folder, who watches, and what run.json says of the call."""

    path: Path
    observer: Observer
    provenance: Mapping[str, Any]


class Experiment(ABC):
    """An experiment on one model; `run` does everything but what its methods say.

    Attributes:
        name: the command, the Python function, and the key in run.json.
        Config: what it is asked for.
        Result: an entry of its part of results.json, for the report; None where the report has
            a type of its own for it.
        goes_on: whether units whose prompts can't be encoded are left out, not an error.
        whole: whether results are written only when all units are done.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    Result: ClassVar[type[Model] | None] = None
    goes_on: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    folder: RunFolder

    def __init__(self, model: "OpenModel", config: Any, at: Surroundings) -> None:
        self.model, self.config, self.at = model, config, at

    @abstractmethod
    def units(self) -> list[Unit]:
        """What is to be measured, (name, seed), in order."""

    @abstractmethod
    def measure(self, unit: Unit, context: "Context") -> Outcome:
        """One unit, in one session."""

    def summarise(self, done: Mapping[Unit, Mapping[str, Any]]) -> dict[str, Any]:
        """Its part of results.json, from the results of the units: by its name, all of them."""
        return {self.name: [dict(result) for result in done.values()]}

    def stage(self, unit: Unit) -> int:
        """Units of a later stage begin when all those of earlier ones are done."""
        return 0

    def configuration(self) -> dict[str, Any]:
        """What decides the results, as run.json stores it."""
        return dict(self.config.recorded())

    def refused(self) -> dict[Unit, str]:
        """Units that can't be run, with the reason, before anything runs."""
        return {}

    @staticmethod
    @abstractmethod
    def line(result: Mapping[str, Any]) -> str:
        """A unit's result in one line."""

    @staticmethod
    @abstractmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The measurements in results.json, one a row, for a data frame."""

    @classmethod
    def run(
        cls,
        model: Any,
        config: Any,
        *,
        output: str | Path | None = None,
        observer: Observer | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Results:
        """Run the experiment, or what is left of it.

        Args:
            model: of `load_model`, or one that nnsight already opened.
            output: the run's folder; the same call again resumes it. None: nothing is kept.
            observer: is called with progress; a bar in a notebook where None.
            provenance: more for run.json that does not decide the results.

        Raises:
            IclVectorsError: an option can't be right, or `output` holds another configuration.
            RunError: states or logits are not finite, or memory does not suffice.
        """
        from icl_vectors.models.load import as_model

        opened, watching = as_model(model), observer or default_observer()
        with place(output) as path:
            asked = config.for_model(opened.tokenizer)
            experiment = cls(opened, asked, Surroundings(path, watching, provenance or {}))
            data, failures = _run(experiment)
            return Results.of_run(cls, data, path, output is not None, failures)


def _run(experiment: Experiment) -> tuple[dict[str, Any], dict[Unit, str]]:
    """Run what is not done yet; returns results.json and the units that could not be run."""
    from icl_vectors.engine.identity import identity_of, provenance_of
    from icl_vectors.models.memory import forget_peak, peak_bytes

    model, observer = experiment.model, experiment.at.observer
    forget_peak(model)
    failures, units, written = experiment.refused(), experiment.units(), -PAUSE
    with RunFolder(
        experiment.at.path,
        experiment.name,
        identity=identity_of(model, experiment.config.template),
        configuration=experiment.configuration(),
        provenance={**provenance_of(model), **experiment.at.provenance},
    ) as folder:
        experiment.folder = folder

        def write() -> dict[str, Any]:
            about = {"model": model.reference, "dtype": model.dtype, "n_layers": model.n_layers}
            done = {unit: folder.done[unit] for unit in units if unit in folder.done}
            part = {**about, **experiment.summarise(done)}
            return folder.write_results(part, peak_memory=peak_bytes(model))

        def tell_failure(unit: Unit, error: str) -> None:
            observer.failed(*unit, error)
            folder.failed(unit, error)

        observer.started(len(units), sum(unit in folder.done for unit in units))
        for unit, error in failures.items():
            tell_failure(unit, error)
        try:
            left = [one for one in units if one not in folder.done and one not in failures]
            for unit, (outcome, context) in _measured(experiment, left):
                if isinstance(outcome, UnitRefused):
                    failures[unit] = str(outcome)
                    tell_failure(unit, failures[unit])
                    continue
                folder.finish(unit, **vars(outcome), **context.cost())
                observer.finished(outcome.result, experiment.line(outcome.result))
                if not experiment.whole and monotonic() - written >= PAUSE:
                    write()
                    written = monotonic()
        except BaseException:
            if not experiment.whole:
                write()
            raise
        return write(), failures


def _measured(
    experiment: Experiment, units: Sequence[Unit]
) -> Iterator[tuple[Unit, tuple[Outcome | UnitRefused, "Context"]]]:
    """What each unit gave, in order; on a server several are under way at once."""
    from icl_vectors.engine.context import Context
    from icl_vectors.engine.flight import Flight, one_by_one

    model, config, observer = experiment.model, experiment.config, experiment.at.observer
    size, contexts = getattr(config, "batch_size", None), {}

    def measure(unit: Unit) -> tuple[Outcome | UnitRefused, Context]:
        if unit not in contexts:
            around = (size, experiment.folder, unit, observer)
            contexts[unit] = Context(model, config.template, *around)
        try:
            return experiment.measure(unit, contexts[unit]), contexts.pop(unit)
        except UnitRefused as refusal:
            if not experiment.goes_on:
                raise
            return refusal, contexts.pop(unit)

    if model.host is None or model.in_flight == 1:
        return one_by_one(measure, units)
    stages = {unit: experiment.stage(unit) for unit in units}
    return iter(Flight(measure, stages, model.in_flight, observer.log))


@contextmanager
def place(output: str | Path | None) -> Iterator[Path]:
    """The run's folder, or one for the time of the run."""
    if output is not None:
        yield Path(output)
    else:
        with TemporaryDirectory(prefix="icl_vectors-") as folder:
            yield Path(folder)


class Function(Protocol):
    """An experiment as a function of Python."""

    def __call__(
        self,
        model: Any,
        *given: Any,
        output: str | Path | None = None,
        observer: Observer | None = None,
        provenance: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Results: ...


def in_python(kind: type[Experiment]) -> Function:
    """The public function of an experiment: `function(model, …)`, its options by keyword."""
    from inspect import Parameter, Signature

    @takes_turns
    def run(model: Any, *given: Any, **options: Any) -> Results:
        names = ("output", "observer", "provenance")
        around = {name: options.pop(name) for name in names if name in options}
        return kind.run(model, kind.Config.make(*given, **options), **around)

    function = cast(Any, run)
    fields = {name: kind.Config.model_fields[name] for name in kind.Config.own_first()}
    defaults = {name: field.default for name, field in fields.items()}
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in (defaults | {"output": None, "observer": None}).items()
    ]
    model = Parameter("model", Parameter.POSITIONAL_OR_KEYWORD)
    function.__signature__ = Signature([model, *options], return_annotation=Results)
    function.__name__ = function.__qualname__ = kind.name
    described = (f"    {name}: {field.description}" for name, field in fields.items())
    function.__doc__ = "\n".join([f"{kind.__doc__}\n\nArgs:", *described])
    return cast(Function, function)
