"""Where a model's files are (hub id, folder, embedded), its configuration and its tokenizer.

No weights are read here.
"""

from pathlib import Path
from typing import Any

from huggingface_hub import constants
from transformers import AutoConfig, AutoTokenizer

from icl_vectors.errors import IclVectorsError, first_line
from icl_vectors.models.adapters import base_of
from icl_vectors.models.architecture import text_config
from icl_vectors.models.checkpoint import HUB_ID, require_weights
from icl_vectors.models.embedded import EMBEDDED, prepare_embedded
from icl_vectors.models.text_start import remarks_on, require_one_start
from icl_vectors.observer import Log, silent
from icl_vectors.remote.hub import not_in_the_cache, reach_hub


def load_config(
    reference: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    log: Log = silent,
) -> Any:
    """The configuration of a model, or of an adapter's base; nothing else need be there."""
    reference, revision = base_of(reference, revision)
    source, _ = find_source(reference, log, weights_needed=False)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    return read_config(reference, source, options)


def load_tokenizer(
    reference: str, *, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The tokenizer of a model, without its weights; of an adapter its base's."""
    reference, revision = base_of(reference, revision)
    source, _ = find_source(reference, weights_needed=False)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    return read_tokenizer(reference, source, options)


def find_source(reference: str, log: Log = silent, weights_needed: bool = True) -> tuple[str, str]:
    """The folder or hub id that transformers loads from, and a remark on the weights."""
    if reference in EMBEDDED:
        return str(prepare_embedded(reference, log)), EMBEDDED[reference].weights
    folder = Path(reference).expanduser()
    if folder.is_dir():
        if weights_needed:
            require_weights(folder)
        return str(folder), ""
    if folder.exists() or not HUB_ID.fullmatch(reference):
        found = "a file" if folder.exists() else "no such folder"
        raise IclVectorsError(f"model {reference!r}: found {found}; {_what_is_a_model()}")
    reach_hub()
    return reference, ""


def read_config(reference: str, source: str, options: dict[str, Any]) -> Any:
    try:
        return AutoConfig.from_pretrained(source, **options)
    except Exception as error:  # each type of model checks its configuration with errors of its own
        raise cannot_load(reference, "configuration", error) from error


def read_tokenizer(reference: str, source: str, options: dict[str, Any]) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    except Exception as error:  # tokenizers raises plain Exception on a damaged file
        raise cannot_load(reference, "tokenizer", error) from error
    if not tokenizer.is_fast:
        raise IclVectorsError(
            f"model {reference!r}: expected a fast tokenizer (tokenizer.json), found a slow one; "
            "the arrow is found by character offset, which only fast tokenizers give."
        )
    return tokenizer


def checked_tokenizer(
    reference: str,
    source: str,
    options: dict[str, Any],
    config: Any,
    log: Log,
) -> Any:
    """The tokenizer, if its texts begin as they should; what is odd about it is logged."""
    tokenizer = read_tokenizer(reference, source, options)
    require_one_start(tokenizer, reference)
    for remark in remarks_on(tokenizer, text_config(config).model_type):
        log(f"{reference}: {remark}")
    return tokenizer


def require_embedded(tokenizer: Any, module: Any, reference: str) -> None:
    """Refuse a tokenizer that gives ids beyond the model's embedding.

    A token that no text holds, such as Gemma's image token, may lie beyond it.

    Raises:
        IclVectorsError: with both numbers.
    """
    rows = int(module.get_input_embeddings().weight.shape[0])
    always = tokenizer("x")["input_ids"]
    found = max([tokenizer.vocab_size, *(token + 1 for token in always)])
    if found > rows:
        raise IclVectorsError(
            f"model {reference!r}: expected a tokenizer of at most {rows} tokens, as many as the "
            f"model's embedding has rows, found {found}; give the tokenizer of this model."
        )


def cannot_load(reference: str, what: str, error: BaseException) -> IclVectorsError:
    if "gated repo" in str(error):
        return IclVectorsError(
            f"model {reference!r}: its {what} is gated; accept its terms at "
            f"https://huggingface.co/{reference}, then log in with: hf auth login"
        )
    if "trust_remote_code" in str(error):
        return IclVectorsError(
            f"model {reference!r}: its {what} comes with code of its own, which is not run "
            "unasked; read that code, and if you trust it add --trust-remote-code."
        )
    is_id = HUB_ID.fullmatch(reference) and not Path(reference).expanduser().is_dir()
    if constants.HF_HUB_OFFLINE and is_id and isinstance(error, OSError):
        return not_in_the_cache(reference, what)
    hint = "fetch its files again." if what == "weights" else _what_is_a_model()
    return IclVectorsError(
        f"model {reference!r}: cannot read its {what} ({type(error).__name__}: "
        f"{first_line(error)}); {hint}"
    )


def _what_is_a_model() -> str:
    return (
        "expected a Hugging Face id, a folder with config.json, tokenizer and safetensors, "
        f"or an embedded model: {', '.join(EMBEDDED)}."
    )
