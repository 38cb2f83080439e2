"""Opening a model through nnsight: a hub id, a local folder, or an embedded model's name.

With `graph` and `remote` the only modules that know nnsight.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from nnsight import TransformersModel
from safetensors import SafetensorError

from icl_vectors.architecture import find_architecture, stated, text_config
from icl_vectors.blueprint import blueprint
from icl_vectors.checkpoint import commit_of, fingerprint_of_folder
from icl_vectors.dtypes import (
    COMPUTE,
    QUANTISED,
    check_dtype,
    choose_dtype,
    options_of_bitsandbytes,
    quantised_as,
    require_computes,
)
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.footprint import devices_of, require_fit
from icl_vectors.loading_report import watched_loading
from icl_vectors.model import Model as Model  # part of this module's own names
from icl_vectors.model_files import (
    cannot_load,
    checked_tokenizer,
    find_source,
    read_config,
    require_embedded,
)
from icl_vectors.probe import probed, unprobed

# A model of text and images is opened for its text: the pipeline's list of others is no news.
logging.getLogger("transformers.pipelines.base").addFilter(
    lambda record: "is not supported for text-generation" not in record.getMessage()
)


def load_model(
    reference: str = "gemma-3-270m",
    *,
    dtype: str = "auto",
    device: str | None = None,
    device_map: Any = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    remote: bool | str = False,
    notice: Callable[[str], None] = lambda text: None,
) -> Model:
    """Open a model: a Hugging Face id, a local folder, or an embedded model's name.

    Args:
        dtype: `auto` (what the checkpoint says), a torch dtype's name, or int8, nf4, fp4
            (bitsandbytes, computing in bfloat16).
        device: such as "cpu" or "cuda:0"; by default the first GPU, or the CPU.
        device_map: accelerate's device map, for several GPUs or offloading.
        remote: True for a model that NDIF serves, or the address of another NDIF server; the
            weights stay there, in the server's dtype, and only configuration and tokenizer are
            read here.
        notice: is told what takes long.

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
    if remote:
        return _load_remote(reference, remote, dtype, revision, trust_remote_code, notice)
    check_dtype(dtype)
    source, weights = find_source(reference, notice)
    if revision is not None and Path(source).is_dir():
        raise IclVectorsError(
            f"--revision {revision}: {reference} lies in a folder, which has no revisions; "
            "leave --revision out, or give a Hugging Face id."
        )
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    config = read_config(reference, source, options)
    module = blueprint(config, trust_remote_code=trust_remote_code)
    hidden = find_architecture(module).hidden  # refuses before anything is loaded
    tokenizer = checked_tokenizer(reference, source, options, config, notice)
    require_embedded(tokenizer, module, reference)
    chosen = choose_dtype(dtype, config)
    placement = device_map if device_map is not None else {"": choose_device(device)}
    for place in devices_of(placement):
        require_computes(chosen, place, hidden)
    if quantised_as(config) is None:
        require_fit(reference, module, chosen, placement)
    notice(f"Loading {reference} in {chosen} …")
    with watched_loading() as report, warnings.catch_warnings():
        # nnsight's about a part of a block that is named "output", which nothing here asks for
        warnings.filterwarnings("ignore", "Module .* has a submodule named", UserWarning)
        opened = _open(reference, source, config, tokenizer, chosen, placement, options)
    architecture = find_architecture(opened._module)
    further = stated(text_config(config), "num_nextn_predict_layers") or 0
    path = architecture.blocks[0].removesuffix(".0")
    report.require_whole(reference, path, len(architecture.blocks) + further)
    folder = Path(source) if Path(source).is_dir() else None
    model = probed(
        Model(
            nnsight=opened,
            tokenizer=tokenizer,
            reference=reference,
            revision=revision,
            fingerprint=_fingerprint(folder, config, reference, revision),
            dtype=chosen,
            weights=weights,
            folder=folder,
            architecture=architecture,
        )
    )
    if model.way_reason:
        notice(
            f"{reference}: {model.way_reason}; whole prompts are run, which is exact and slower."
        )
    return model


def _load_remote(
    reference: str,
    remote: bool | str,
    dtype: str,
    revision: str | None,
    trust_remote_code: bool,
    notice: Callable[[str], None],
) -> Model:
    """Open a model that an NDIF server holds, once everything speaks for it."""
    from icl_vectors.remote.opening import open_on_meta, served_dtype
    from icl_vectors.remote.preflight import preflight

    source, weights = find_source(reference, notice, weights_needed=False)
    if Path(source).is_dir():  # the server, too, finds it by this path
        source = str(Path(source).resolve())
    served = preflight(remote, source, revision)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    config = read_config(reference, source, options)
    tokenizer = checked_tokenizer(reference, source, options, config, notice)
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
        notice(f"{served.host} opens {reference} now, on a first small job …")
        model = replace(model, dtype=served_dtype(model.session(), model.nnsight, model.blocks))
    if dtype not in ("auto", model.dtype):
        raise IclVectorsError(
            f"--dtype {dtype}: {served.host} holds {reference} in {model.dtype}; "
            "leave --dtype out, the server's is used."
        )
    notice(f"{reference} is served by {served.host} in {model.dtype}.")
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
    config = model._module.config
    held = str(next(model._module.parameters()).dtype).removeprefix("torch.")
    return probed(
        Model(
            nnsight=model,
            tokenizer=model.tokenizer,
            reference=reference,
            revision=model.revision,
            fingerprint=_fingerprint(folder, config, reference, model.revision),
            dtype=held,
            weights="opened by the user",
            folder=folder,
            architecture=find_architecture(model._module),
        )
    )


def _fingerprint(folder: Path | None, config: Any, reference: str, revision: str | None) -> str:
    return fingerprint_of_folder(folder) if folder else commit_of(config, reference, revision)


def _open(
    reference: str,
    source: str,
    config: Any,
    tokenizer: Any,
    dtype: str,
    placement: Any,
    options: dict[str, Any],
) -> Any:
    if quantised_as(config) is not None:  # transformers reads how from the checkpoint
        dtype = str(config.get_text_config().dtype or COMPUTE).removeprefix("torch.")
    elif dtype in QUANTISED:
        options = {**options, **options_of_bitsandbytes()}
    try:
        return TransformersModel(
            source,
            task="text-generation",
            tokenizer=tokenizer,
            dtype=dtype,
            device_map=placement,
            dispatch=True,
            **options,
        )
    except torch.OutOfMemoryError as error:
        raise RunError(
            f"model {reference!r} does not fit in {dtype}; try --dtype nf4 or --device-map auto."
        ) from error
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        raise cannot_load(reference, "weights", error) from error


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
