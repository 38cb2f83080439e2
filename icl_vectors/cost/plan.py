"""`plan`: the configuration and the prompts' lengths are read, everything else is computed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.cost.memory import Cost, best_choice, places_here
from icl_vectors.cost.methods import costs_of_methods
from icl_vectors.cost.prompt_sizes import sized
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.layers import parse_layers
from icl_vectors.models.adapters import base_of
from icl_vectors.models.architecture import find_architecture, on_meta
from icl_vectors.models.dtypes import check_dtype, choose_dtype
from icl_vectors.models.load import choose_device
from icl_vectors.models.memory import LARGEST_ON_SERVER
from icl_vectors.models.meta import meta_model
from icl_vectors.models.source import load_config, load_tokenizer
from icl_vectors.observer import Log, silent
from icl_vectors.prompts.encoding import longest
from icl_vectors.remote.cost import bytes_up
from icl_vectors.runs.folder import Unit

SCHEMA = 1
ASKED_OF_AUTO = ("bfloat16", "nf4", "int8")  # besides the checkpoint's own dtype
NF4_FIRST = "smaller than int8, and its answers do not depend on the batch as int8's do"


def plan_sweep(
    reference: str,
    run: Any,
    *,
    dtypes: Sequence[str] = ("auto",),
    memory: int | None = None,
    calibrate: bool = False,
    device: str | None = None,
    source: Mapping[str, Any] | None = None,
    log: Log = silent,
    compare: CompareConfig | None = None,
) -> dict[str, Any]:
    """What an experiment would cost; nothing is run, no weight is loaded.

    Args:
        run: a `SweepConfig`, or the configuration of an experiment that is made of sweeps, such as
            `ShotsConfig`.
        source: `revision` and `trust_remote_code` of the model.
        compare: also what `compare` would cost with the methods and controls of this one.
        dtypes: "auto" alone tells of the checkpoint's own dtype, bfloat16, nf4 and int8. The first
            that fits is recommended.
        memory: bytes of a GPU to ask about in place of this machine.
        calibrate: measure this machine for a second a dtype, and estimate the time.

    Raises:
        IclVectorsError: an option can't be right, or the model can't be used.
    """
    if device is not None:
        choose_device(device)  # refuses what this machine has not
    about = {"revision": None, "trust_remote_code": False, **(source or {})}
    config = load_config(reference, log=log, **about)
    module = meta_model(config, trust_remote_code=about["trust_remote_code"])
    architecture, _ = on_meta(module, find_architecture(module))
    depth = len(architecture.blocks)
    layers, batch_size = parse_layers(run.layers, depth), run.batch_size
    tokenizer = _tokenizer(reference, about)
    run = run if tokenizer is None else run.for_model(tokenizer)
    prompts: dict[Unit, Any] = {
        unit: tuple(sized(tokenizer, run.template, part) for part in run.prompts(unit))
        for unit in run.units
    }
    sent = {
        unit: bytes_up(run.template, (one for part in run.prompts(unit) for one in part))
        for unit in run.units
    }
    cost = Cost(module, architecture, prompts, layers, batch_size)
    for dtype in dtypes:
        check_dtype(dtype)
    more = ASKED_OF_AUTO if list(dtypes) == ["auto"] else ()
    named = list(dict.fromkeys([*(choose_dtype(one, config) for one in dtypes), *more]))
    of_dtypes = [cost.in_dtype(dtype, places_here(memory)) for dtype in named]
    best = best_choice(of_dtypes)
    size = best[1]["batch_size"] if best else batch_size or LARGEST_ON_SERVER
    if calibrate:
        _calibrate(cost, of_dtypes, choose_device(device), size, log)
    return {
        "schema": SCHEMA,
        "model": reference,
        "type": cost.config.model_type,
        "n_layers": depth,
        "hidden_size": architecture.hidden,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "path": "cached" if architecture.keeps_cache else "whole",
        "longest_prompt": longest(cost.every),
        "tokens_estimated": tokenizer is None,
        "dtypes": of_dtypes,
        "dtype": best[0] if best else None,
        "reason": _reason(best[0], named, list(dtypes) == ["auto"]) if best else None,
        "batch_size": size,
        "work": cost.work(size),
        "remote": cost.remote(named[0], sent),
        "compare": costs_of_methods(
            compare.model_copy(update={"template": run.template}),
            [both for (_, seed), both in prompts.items() if seed == run.units[0][1]],
            tokenizer=tokenizer,
            layers=layers,
            n_layers=depth,
            n_heads=architecture.heads,
            batch_size=size,
            way=cost.way,
        )
        if compare
        else None,
    }


def _reason(chosen: str, named: Sequence[str], auto: bool) -> str:
    """Why a dtype is recommended, in words."""
    if not auto:
        return "the first of those asked for that fits"
    if chosen == named[0]:
        return "the checkpoint's own dtype, and it fits"
    return NF4_FIRST if chosen == "nf4" else "the next best that fits"


def _tokenizer(reference: str, about: dict[str, Any]) -> Any:
    """The model's tokenizer; None where its folder has none: numbers of tokens are estimated."""
    folder = Path(base_of(reference, about["revision"])[0]).expanduser()
    files = [*folder.glob("token*"), *folder.glob("vocab*")] if folder.is_dir() else [folder]
    return load_tokenizer(reference, **about) if files else None


def _calibrate(
    cost: Cost, of_dtypes: list[dict[str, Any]], device: str, size: int, log: Log
) -> None:
    for one in of_dtypes:
        log(f"Measuring {one['dtype']} on {device} …")
        try:
            estimated = cost.seconds(one["dtype"], device, size)
            one["seconds"] = {"device": device, "estimated": estimated}
        except IclVectorsError as error:  # shown beside the dtype; the others go on
            one["seconds"] = {"device": device, "estimated": None, "reason": str(error)}
