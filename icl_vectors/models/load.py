"""Opening a model through nnsight: a hub id, a local folder, or an embedded model's name.

With `graph` and `remote` the only modules that know nnsight.
"""

import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from nnsight import TransformersModel

from icl_vectors.errors import IclVectorsError
from icl_vectors.models.adapters import find_adapter
from icl_vectors.models.architecture import find_architecture
from icl_vectors.models.checkpoint import (
    commit_in_cache,
    commit_of,
    fingerprint_of_folder,
    fingerprint_of_module,
    left_out,
)
from icl_vectors.models.dtypes import check_dtype, choose_dtype, quantised_as, require_computes
from icl_vectors.models.embedded import EMBEDDED
from icl_vectors.models.memory_estimate import devices_of, require_fit
from icl_vectors.models.meta import meta_model
from icl_vectors.models.model import Model as Model  # part of this module's own names
from icl_vectors.models.probe import probed, unprobed
from icl_vectors.models.source import checked_tokenizer, find_source, read_config, require_embedded
from icl_vectors.models.weights import held_dtype, read_weights, silent_transformers
from icl_vectors.observer import Log, silent
from icl_vectors.turns import takes_turns

MOST_IN_FLIGHT = 32


@takes_turns
def load_model(
    reference: str = "gemma-3-270m",
    *,
    dtype: str = "auto",
    device: str | None = None,
    device_map: Any = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    remote: bool | str = False,
    in_flight: int = 4,
    log: Log = silent,
) -> Model:
    """Open a model: a Hugging Face id, a local folder, or an embedded model's name.

    A folder or an id of an adapter (LoRA …) is opened on its base model.

    Args:
        dtype: `auto` (what the checkpoint says), a torch dtype's name, or int8, nf4, fp4
            (bitsandbytes, computing in bfloat16).
        device: such as "cpu" or "cuda:0"; by default the first GPU, or the CPU.
        device_map: accelerate's device map, for several GPUs or offloading.
        revision: of a hub id; of an adapter its own, the base's is in its configuration.
        remote: True for a model that NDIF serves, or the address of another NDIF server; the
            weights stay there, in the server's dtype, and only configuration and tokenizer are
            read here.
        in_flight: how many jobs of an experiment are on that server at once, 1 to 32.
        log: is called with what takes long.

    Raises:
        IclVectorsError: there is no such model, this machine can't hold it in that dtype, or the
            server can't be used (no key, not reached, other versions, the model is not hosted).
    """
    reference = str(reference) if isinstance(reference, Path) else reference
    if not isinstance(reference, str):
        raise IclVectorsError(
            f"model {reference!r}: expected a Hugging Face id, a folder's path as text, or an "
            "embedded model's name."
        )
    adapter = find_adapter(reference, revision)
    if remote:
        if adapter:
            raise IclVectorsError(
                f"adapter {reference!r} with --remote: expected a model that the server holds, "
                "found an adapter, which stays here; run it on this machine, without --remote."
            )
        if not 1 <= in_flight <= MOST_IN_FLIGHT:
            raise IclVectorsError(f"--in-flight {in_flight}: expected 1 to {MOST_IN_FLIGHT} jobs.")
        there = _load_remote(reference, remote, dtype, revision, trust_remote_code, log)
        return replace(there, in_flight=in_flight)
    check_dtype(dtype)
    if revision is not None and (reference in EMBEDDED or Path(reference).expanduser().is_dir()):
        raise IclVectorsError(
            f"--revision {revision}: {reference} lies in a folder, which has no revisions; "
            "leave --revision out, or give a Hugging Face id."
        )
    if adapter:
        adapter.require_files()
        log(f"{reference}: a {adapter.config['peft_type']} adapter, opened on {adapter.base}.")
    base, of_base = (adapter.base, adapter.base_revision) if adapter else (reference, revision)
    options = {"revision": of_base, "trust_remote_code": trust_remote_code}
    try:
        source, weights = find_source(base, log)
        config = read_config(base, source, options)
    except IclVectorsError as error:
        raise (adapter.of_base(error) if adapter else error) from error
    module = meta_model(config, trust_remote_code=trust_remote_code)
    architecture = find_architecture(module)  # refuses before anything is loaded
    tokenizer = checked_tokenizer(base, source, options, config, log)
    require_embedded(tokenizer, module, base)
    chosen = choose_dtype(dtype, config)
    placement = device_map if device_map is not None else {"": choose_device(device)}
    for place in devices_of(placement):
        require_computes(chosen, place, architecture.hidden)
    if quantised_as(config) is None:
        require_fit(base, module, chosen, placement)
    log(f"Loading {base} in {chosen} …")
    module = read_weights(
        base,
        source,
        module,
        architecture,
        dtype=chosen,
        placement=placement,
        revision=of_base,
    )
    held = held_dtype(module, chosen)
    if dtype not in ("auto", held):
        raise IclVectorsError(
            f"--dtype {dtype}: this checkpoint was saved in {chosen} and is held in {held} here; "
            "leave --dtype out."
        )
    if held != chosen:
        log(f"{base}: this machine holds its {chosen} weights as {held}, dequantised.")
    folder = Path(source) if Path(source).is_dir() else None
    for remark in left_out(folder) if folder else ():
        log(f"{base}: {remark}")
    model = Model(
        nnsight=None,
        tokenizer=tokenizer,
        reference=reference,
        revision=revision,
        fingerprint=_fingerprint(folder, config, base, of_base),
        dtype=held,
        weights=weights,
        folder=folder,
        architecture=architecture,
    )
    if adapter:
        adapter.put_on(module)
        model = replace(
            model,
            fingerprint=adapter.fingerprint(model.fingerprint),
            folder=adapter.folder if adapter.is_from_folder else None,
            base=adapter.about(),
        )
    model = probed(replace(model, nnsight=_traced(module, tokenizer)))
    if model.way_reason:
        log(f"{reference}: {model.way_reason}; whole prompts are run, which is exact and slower.")
    return model


def _traced(module: Any, tokenizer: Any) -> TransformersModel:
    """nnsight's envoys of a module; of text and images, for its text."""
    with silent_transformers(), warnings.catch_warnings():
        # nnsight's about a part of a block that is named "output", which nothing here asks for
        warnings.filterwarnings("ignore", "Module .* has a submodule named", UserWarning)
        return TransformersModel(module, task="text-generation", tokenizer=tokenizer)


def _load_remote(
    reference: str,
    remote: bool | str,
    dtype: str,
    revision: str | None,
    trust_remote_code: bool,
    log: Log,
) -> Model:
    """Open a model that an NDIF server holds, once everything speaks for it."""
    from icl_vectors.remote.opening import open_on_meta, served_dtype
    from icl_vectors.remote.preflight import preflight

    source, weights = find_source(reference, log, weights_needed=False)
    if Path(source).is_dir():  # the server, too, finds it by this path
        source = str(Path(source).resolve())
    served = preflight(remote, source, revision)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    config = read_config(reference, source, options)
    tokenizer = checked_tokenizer(reference, source, options, config, log)
    opened = open_on_meta(source, served.repo_id, tokenizer, options)
    folder = Path(source) if Path(source).is_dir() else None
    model = Model(
        nnsight=opened,
        tokenizer=tokenizer,
        reference=reference,
        revision=revision,
        fingerprint=_fingerprint(folder, config, reference, revision),
        dtype=served.dtype,
        weights=weights,
        folder=folder,
        architecture=find_architecture(opened._module),
        host=served.host,
    )
    if not served.dtype:
        log(f"{served.host} opens {reference} now, on a first small job …")
        model = replace(model, dtype=served_dtype(model.session(), model.nnsight, model.blocks))
    if dtype not in ("auto", model.dtype):
        raise IclVectorsError(
            f"--dtype {dtype}: {served.host} holds {reference} in {model.dtype}; "
            "leave --dtype out, the server's is used."
        )
    log(f"{reference} is served by {served.host} in {model.dtype}.")
    return unprobed(model)


def as_model(model: Any) -> Model:
    """A model as this package uses it, from one that nnsight already opened.

    The nnsight model and its tokenizer are used as they are and left unchanged.
    """
    if isinstance(model, Model):
        return model
    if not isinstance(model, TransformersModel) or model.tokenizer is None:
        raise IclVectorsError(
            f"expected a model of icl_vectors.load_model or an nnsight TransformersModel with a "
            f"tokenizer, found {type(model).__name__}."
        )
    reference = str(model.repo_id)
    folder = Path(reference) if Path(reference).is_dir() else None
    module = model._module
    return probed(
        Model(
            nnsight=model,
            tokenizer=model.tokenizer,
            reference=reference,
            revision=model.revision,
            fingerprint=_fingerprint_of_opened(model, folder),
            dtype=held_dtype(module, quantised_as(module.config) or "quantised"),
            weights="opened by the user",
            folder=folder,
            architecture=find_architecture(module),
        )
    )


def _fingerprint(folder: Path | None, config: Any, reference: str, revision: str | None) -> str:
    return fingerprint_of_folder(folder) if folder else commit_of(config, reference, revision)


def _fingerprint_of_opened(model: TransformersModel, folder: Path | None) -> str:
    """The fingerprint of what a user opened: of its files where they are all that it holds."""
    module, reference = model._module, str(model.repo_id or "")
    adapted = model.peft is not None or getattr(module, "peft_config", None)
    if not adapted and folder and (folder / "config.json").is_file():
        with suppress(IclVectorsError):  # no safetensors: other files were read
            return fingerprint_of_folder(folder)
    known = not adapted and not folder and commit_in_cache(module.config, reference, model.revision)
    return known or fingerprint_of_module(module)


def choose_device(device: str | None) -> str:
    """The device asked for, or the first GPU, or the CPU."""
    if device is None:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise IclVectorsError(f"--device {device}: expected cpu, cuda, cuda:N or mps.") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise IclVectorsError(f"--device {device}: expected a CUDA GPU, found none; use cpu.")
    return device
