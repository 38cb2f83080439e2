"""LoRA and its relatives: a folder or hub id that holds an adapter is opened on its base model.

The adapter stays beside the base weights, as it was trained: merging would round it to their dtype,
and can't be done in weights of 4 or 8 bits.
"""

import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from transformers.utils.hub import cached_file, has_file

from icl_vectors.errors import IclVectorsError, MissingExtra, first_line
from icl_vectors.models.checkpoint import HUB_ID, INDEX, WHOLE, fingerprint_of_files
from icl_vectors.models.embedded import EMBEDDED
from icl_vectors.remote.hub import reach_hub

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KINDS = ("LORA", "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "VERA")
OF_LANGUAGE_MODELS = (None, "CAUSAL_LM")
QUIET: dict[str, Any] = {  # cached_file gives None for a file that is not there
    f"_raise_exceptions_for_{what}": False
    for what in ("gated_repo", "missing_entries", "connection_errors")
}


@dataclass(frozen=True)
class Adapter:
    """An adapter's files and what it is put on.

    Attributes:
        reference: what the user called it.
        folder: where its files are; of a hub id, in the hub's cache.
        revision: of the hub id, as the user gave it.
    """

    reference: str
    folder: Path
    revision: str | None = None

    @cached_property
    def config(self) -> dict[str, Any]:
        """adapter_config.json.

        Raises:
            IclVectorsError: it is damaged, or the adapter is none of a decoder's weights.
        """
        try:
            found = dict(json.loads((self.folder / CONFIG).read_bytes()))
        except (ValueError, TypeError, RecursionError) as error:
            raise self._refused("JSON in adapter_config.json", first_line(error, 80)) from error
        if not isinstance(found.get("base_model_name_or_path"), str):
            raise self._refused("base_model_name_or_path in adapter_config.json", "none")
        kind, task = found.get("peft_type"), found.get("task_type")
        if kind not in KINDS:
            expected = f"an adapter of weights ({', '.join(KINDS)})"
            raise self._refused(expected, f"{kind}; merge it if it can be merged")
        if task not in OF_LANGUAGE_MODELS:
            raise self._refused("an adapter of a language model (CAUSAL_LM)", str(task))
        if found.get("alora_invocation_tokens"):
            raise self._refused("an adapter that is always on", "one that tokens switch on (aLoRA)")
        return found

    @property
    def is_from_folder(self) -> bool:
        """Whether the user gave a folder, and no hub id."""
        return Path(self.reference).expanduser().is_dir()

    @property
    def base(self) -> str:
        """The base model: a folder, a hub id or an embedded model's name."""
        return str(self.config["base_model_name_or_path"])

    @property
    def base_revision(self) -> str | None:
        """The base's revision that the adapter's configuration states."""
        stated = self.config.get("revision")
        return str(stated) if stated and not self.base_is_here else None

    @property
    def base_is_here(self) -> bool:
        """Whether the base is a folder or an embedded model, which have no revisions."""
        return self.base in EMBEDDED or Path(self.base).expanduser().is_dir()

    def about(self) -> dict[str, Any]:
        """The base model and the kind of adapter, for run.json."""
        about = {"reference": self.base, "revision": self.base_revision}
        return {**about, "adapter": self.config["peft_type"]}

    def fingerprint(self, of_base: str) -> str:
        """That of its base, its configuration and its weights; where the base lies is left out."""
        left_out = ("base_model_name_or_path", "revision")
        own = {key: value for key, value in self.config.items() if key not in left_out}
        return fingerprint_of_files({"base": of_base, "adapter": own}, [self.folder / WEIGHTS])

    def put_on(self, module: Any) -> None:
        """Put the adapter into the modules of its base model, in place.

        Raises:
            IclVectorsError: it was made for a model of other shapes, or its weights are not whole.
        """
        from peft import PeftConfig, PeftModel
        from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
        from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict

        renamed = getattr(module, "_checkpoint_conversion_mapping", {})  # of older wrappers
        try:
            with warnings.catch_warnings():  # peft's; what matters of them is checked below
                warnings.simplefilter("ignore")
                config = PeftConfig.from_pretrained(str(self.folder))
                config.inference_mode = True
                weights = load_peft_weights(str(self.folder), device="cpu", key_mapping=renamed)
                put: Any = set_peft_model_state_dict(PeftModel(module, config), weights)
        except Exception as error:  # peft and its kinds of adapters fail in ways of their own
            raise self._misfit(_said(error)) from error
        prefix = PEFT_TYPE_TO_PREFIX_MAPPING[config.peft_type]
        missing = [name for name in put.missing_keys if prefix in name]
        if missing or put.unexpected_keys:
            what = "no " if missing else "in its weights "
            raise self._misfit(what + min(missing or put.unexpected_keys))
        module.eval().requires_grad_(False)

    def require_files(self) -> None:
        """Check that peft and the weights are there, before the base is loaded.

        Raises:
            IclVectorsError: naming what is missing.
        """
        if find_spec("peft") is None:
            raise MissingExtra(f"adapter {self.reference!r}", "peft", "peft")
        if not (self.folder / WEIGHTS).is_file():
            found = ", ".join(sorted(one.name for one in self.folder.glob("adapter_model.*")))
            raise self._refused(WEIGHTS, f"{found or 'none'}; pickled weights are never read")

    def of_base(self, error: IclVectorsError) -> IclVectorsError:
        """An error about the base model, which says whose base it is."""
        return IclVectorsError(
            f"adapter {self.reference!r}: its base model (base_model_name_or_path in {CONFIG}) "
            f"can't be opened: {error}"
        )

    def _misfit(self, found: str) -> IclVectorsError:
        return self._refused(
            f"weights for the modules of its base model {self.base!r}",
            f"{found}; give the base model that it was trained on",
        )

    def _refused(self, expected: str, found: str) -> IclVectorsError:
        return IclVectorsError(f"adapter {self.reference!r}: expected {expected}, found {found}.")


def find_adapter(reference: str, revision: str | None = None) -> Adapter | None:
    """The adapter that a folder or a hub id holds, or None: it holds a model's own weights."""
    folder = Path(reference).expanduser()
    if reference in EMBEDDED or not (folder.is_dir() or HUB_ID.fullmatch(reference)):
        return None
    if folder.is_dir():
        there = (folder / CONFIG).is_file()
        whole = any((folder / name).is_file() for name in (WHOLE, INDEX))
        return Adapter(reference, folder) if there and not whole else None
    reach_hub()
    try:
        config = cached_file(reference, CONFIG, revision=revision, **QUIET)
        offline = constants.HF_HUB_OFFLINE
        if config is None or any(
            has_file(reference, name, revision, local_files_only=offline) for name in (WHOLE, INDEX)
        ):
            return None
        cached_file(reference, WEIGHTS, revision=revision, **QUIET)
    except OSError:  # no such repository or revision: its configuration's reader says so
        return None
    return Adapter(reference, Path(config).parent, revision)


def base_of(reference: str, revision: str | None) -> tuple[str, str | None]:
    """The model whose configuration and tokenizer a reference stands for, and its revision."""
    adapter = find_adapter(reference, revision)
    return (adapter.base, adapter.base_revision) if adapter else (reference, revision)


def _said(error: Exception) -> str:
    """What peft says is wrong: of a state dict's error the line that names a weight."""
    lines = str(error).strip().splitlines()
    about = [line for line in lines if "size mismatch" in line]
    return (about or [first_line(error)])[0].strip()[:200]
