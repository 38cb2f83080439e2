"""`check`: what must hold of an open model for any figure about it to mean something."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any
from weakref import WeakSet

from icl_vectors.errors import IclVectorsError, RunError, not_finite
from icl_vectors.graph.checks import run_checks
from icl_vectors.graph.task import GROUP
from icl_vectors.models.load import Model, as_model
from icl_vectors.models.memory import with_smaller_batches
from icl_vectors.models.probe import OF_4_BITS, ROUNDING
from icl_vectors.prompts.batches import layer_groups, make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.limits import encode_prompts
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template, load_template
from icl_vectors.tasks.task import load_task
from icl_vectors.turns import takes_turns

OWN = "a block's own state put back changes nothing"
CHANGES = "θ changes the logits"
BATCHED = "batched equals single"
CACHED = "cached equals uncached"
TASK = "country_capital"  # its names have from one to a dozen tokens, so that batches are padded
DRAWN = 50
LEAST_CHANGE = 1e-6  # of the spread: θ at a block that takes no heed of it changes nothing at all
BY_NATURE = "; LLM.int8 takes outliers apart by the whole batch, so batches differ by nature"


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes:
        measured: the difference of logits, as a share of their spread (largest less smallest).
        bound: what it may be at most, or, for the change that θ makes, must be more than.
        remark: where, on what, or why the bound is what it is.
    """

    name: str
    measured: float
    bound: float
    passed: bool
    remark: str

    @property
    def bound_is_least(self) -> bool:
        """Whether more than the bound is wanted, not less."""
        return self.name == CHANGES


@dataclass(frozen=True)
class Checks:
    """What `check` found about a model."""

    model: str
    dtype: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all hold."""
        return all(one.passed for one in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "checks": list(map(asdict, self.checks)), "passed": self.passed}

    def require(self) -> None:
        """Go on only if all hold.

        Raises:
            RunError: naming the first check that fails, and what was measured.
        """
        for one in self.checks:
            if not one.passed:
                side = "more than" if one.bound_is_least else "at most"
                raise RunError(
                    f"{self.model} in {self.dtype}: expected that {one.name} ({side} "
                    f"{one.bound:.2g} of the logits' spread), found {one.measured:.2g} "
                    f"({one.remark}); its results would be invalid, try --dtype "
                    "float32, --device cpu or another version of transformers."
                )


@takes_turns
def check(model: Any, *, template: str = "{input}→{output}") -> Checks:
    """Run the one-line tests on an open model: in seconds, in one session (one job on a server).

    Each block's own state, put back at the arrow, changes nothing; θ changes the logits at every
    block; prompts in one padded batch give what they give alone; and prompts on the key-value
    cache give what they give in one piece.

    Args:
        model: of `load_model`, or one that nnsight already opened.
        template: of the prompts, which are two of the task country_capital.

    Returns:
        What was measured; `Checks.require` makes an error of a failure.

    Raises:
        IclVectorsError: the template does not fit this tokenizer.
        RunError: states or logits that are not finite.
    """
    model, form = as_model(model), load_template(template)
    groups = [list(group) for group in layer_groups(range(model.n_layers), GROUP)]
    found = _run(model, _unlike(_prompts(model, form)), groups)
    if found is None:
        raise not_finite("states or logits", model.dtype, model.device)
    return found


def require_checked(model: Model, form: Template, prompts: Sequence[EncodedPrompt] = ()) -> None:
    """Check a model before a long run, once in a process, as `check` does but at three blocks.

    On a server nothing is checked, as that would be a job that nobody asked for (`icl-vectors
    check` is that job). States that are not finite are left to the run, which says where they are.

    Args:
        prompts: of the run, used where the template and this tokenizer do not suit those of
            `check`.

    Raises:
        RunError: a check fails.
    """
    if model.host is not None or model.nnsight in _CHECKED:
        return
    try:
        prompts = _prompts(model, form)
    except IclVectorsError:
        if not prompts:
            return
    last = model.n_layers - 1
    if (found := _run(model, _unlike(prompts), [sorted({0, last // 2, last})])) is not None:
        found.require()
        _CHECKED.add(model.nnsight)


_CHECKED: WeakSet[Any] = WeakSet()


def _prompts(model: Model, form: Template) -> list[EncodedPrompt]:
    return encode_prompts(model, form, sample_prompts(load_task(TASK), dev=0, test=DRAWN)[1])


def _unlike(prompts: Sequence[EncodedPrompt]) -> list[EncodedPrompt]:
    """The shortest prompt and the longest, so that a batch of them is padded most."""
    ordered = sorted(prompts, key=lambda one: (len(one.shared), len(one.alone)))
    return [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered


def _run(
    model: Model, prompts: Sequence[EncodedPrompt], groups: Sequence[Sequence[int]]
) -> Checks | None:
    """What was found on some prompts; None where something is not finite."""
    way = model.way

    def run(count: int) -> dict[str, Any]:
        of_one = [make_batches([one], 1, way)[0] for one in prompts[:count]]
        whole = [
            (whole_prompts([one.shared + one.suffixes[0]], way), whole_prompts([one.alone], way))
            for one in prompts[:count]
        ]
        [together] = make_batches(prompts[:count], count, way)
        return run_checks(model, together, of_one, whole, groups)

    found, count = with_smaller_batches(run, len(prompts))
    prompts = prompts[:count]
    if not all(bool(part.isfinite().all()) for part in found.values()):
        return None
    layers = [layer for group in groups for layer in group]
    lengths = [len(one.shared) for one in prompts]
    padding = max(lengths) - min(lengths)
    return Checks(model.reference, model.dtype, tuple(_judged(model, found, layers, padding)))


def _judged(
    model: Model, found: Mapping[str, Any], layers: Sequence[int], padding: int
) -> list[Check]:
    spread = float(found["spread"]) or 1.0
    own, by_layer = (found[name] / spread for name in ("own", "changed"))
    at_weakest = f"at block {layers[int(by_layer.argmin())]}, where it changes least"
    of_queries = "of prompts and of their queries alone"
    least, change = max(LEAST_CHANGE, float(own.max())), float(by_layer.min())
    rounding = ROUNDING.get(model.dtype, OF_4_BITS)
    together = f"with {padding} tokens of left padding{BY_NATURE if model.dtype == 'int8' else ''}"
    return [
        _equal(OWN, float(own.max()), rounding, f"at {len(layers)} blocks"),
        Check(CHANGES, change, least, isfinite(least) and change > least, at_weakest),
        _equal(BATCHED, float(found["batched"].max()) / spread, rounding, together),
        _equal(CACHED, float(found["uncached"].max()) / spread, rounding, of_queries),
    ]


def _equal(name: str, measured: float, bound: float, remark: str) -> Check:
    return Check(name, measured, bound, measured <= bound, remark)
