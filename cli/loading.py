"""Opening a model as the options ask, and saying so on stderr."""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icl_vectors.cli.terminal import show
from icl_vectors.errors import IclVectorsError

if TYPE_CHECKING:
    from icl_vectors.models import Model


@dataclass(frozen=True)
class ModelOptions:
    """How models are to be opened."""

    device: str | None = None
    device_map: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    quiet: bool = False
    remote: bool | str = False

    def open(self, reference: str, dtype: str) -> "Model":
        """Open one model."""
        if self.remote and (self.device or self.device_map):
            raise IclVectorsError(
                "--device or --device-map with --remote: expected one of them; "
                "the server places the model."
            )
        calm_libraries(self.quiet)
        from icl_vectors.models import load_model

        return load_model(
            reference,
            dtype=dtype,
            device=self.device,
            device_map=self.device_map,
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
            remote=self.remote,
            notice=say(self.quiet),
        )


def say(quiet: bool) -> Callable[[str], None]:
    """A function that writes a line to stderr, or nothing."""

    def write(text: str) -> None:
        if not quiet:
            show(text, sys.stderr)

    return write


def calm_libraries(quiet: bool) -> None:
    """Keep other libraries' bars out of files and of quiet runs; must precede their import."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # it says at every product of int8 that float16 is used in it
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    if quiet or not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def choose_dtypes(dtype: str, in_4bit: bool, in_8bit: bool) -> list[str]:
    """The dtypes that are meant by --dtype and its aliases."""
    if in_4bit and in_8bit:
        raise IclVectorsError("--load-in-4bit with --load-in-8bit: expected one of them.")
    if (in_4bit or in_8bit) and dtype != "auto":
        raise IclVectorsError(f"--dtype {dtype} with --load-in-…bit: expected one of them.")
    if in_4bit or in_8bit:
        return ["nf4" if in_4bit else "int8"]
    from icl_vectors.dtypes import check_dtype

    named = list(dict.fromkeys(part.strip() for part in dtype.split(",") if part.strip()))
    for one in named:
        check_dtype(one)
    if not named:
        raise IclVectorsError(f"--dtype {dtype!r}: expected a dtype, such as auto or bfloat16.")
    return named


def require_one_on_server(remote: bool | str, dtypes: list[str]) -> None:
    """Refuse several dtypes on a server, which holds a model in one."""
    if remote and len(dtypes) > 1:
        raise IclVectorsError(
            f"--dtype {','.join(dtypes)} with --remote: expected none; the server holds the model "
            "in a dtype of its own."
        )


def only_dtype(dtypes: list[str]) -> str:
    """The one dtype of a command that opens one model."""
    if len(dtypes) != 1:
        raise IclVectorsError(f"--dtype {','.join(dtypes)}: expected one dtype here.")
    return dtypes[0]
