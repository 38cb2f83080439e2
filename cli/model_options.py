"""Options that come in groups, and models opened as they ask; what takes long is said on stderr.

A command takes each group as one argument; `expands_options` puts the group's options in its
place, so that they are listed where it is in the command's own list.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

from icl_vectors.cli import options
from icl_vectors.cli.terminal import show
from icl_vectors.engine.config import Config
from icl_vectors.errors import IclVectorsError

if TYPE_CHECKING:
    from icl_vectors.models.load import Model


PLAIN = (bool, int, Path)


@dataclass(frozen=True)
class ModelOptions:
    """How models are to be opened; each field is an option of the command line."""

    dtype: options.Dtypes = "auto"
    load_in_4bit: options.In4Bit = False
    load_in_8bit: options.In8Bit = False
    device: options.Device = None
    device_map: options.DeviceMap = None
    revision: options.Revision = None
    remote: options.Remote = False
    host: options.Host = None
    in_flight: options.InFlight = 4
    trust_remote_code: options.TrustRemoteCode = False

    @property
    def on_server(self) -> bool | str:
        """The server's address, True for the usual one, or False."""
        return self.host or self.remote

    @property
    def dtypes(self) -> list[str]:
        """The dtypes that are meant by --dtype and its aliases.

        Raises:
            IclVectorsError: one is not known, or they contradict each other.
        """
        in_bits = [name for name in ("load_in_4bit", "load_in_8bit") if getattr(self, name)]
        if len(in_bits) > 1:
            raise IclVectorsError("--load-in-4bit with --load-in-8bit: expected one of them.")
        if in_bits and self.dtype != "auto":
            raise IclVectorsError(
                f"--dtype {self.dtype} with --load-in-…bit: expected one of them."
            )
        if in_bits:
            return ["nf4" if self.load_in_4bit else "int8"]
        from icl_vectors.models.dtypes import check_dtype

        parts = map(str.strip, self.dtype.split(","))
        named = list(dict.fromkeys(part for part in parts if part))
        for one in named:
            check_dtype(one)
        if not named:
            raise IclVectorsError(
                f"--dtype {self.dtype!r}: expected a dtype, such as auto or bfloat16."
            )
        return named

    @property
    def dtypes_of_runs(self) -> list[str]:
        """The same, where each is run: a server holds a model in one dtype."""
        dtypes = self.dtypes
        if self.on_server and len(dtypes) > 1:
            raise IclVectorsError(
                f"--dtype {','.join(dtypes)} with --remote: expected none; the server holds the "
                "model in a dtype of its own."
            )
        return dtypes

    @property
    def only_dtype(self) -> str:
        """The one dtype of a command that opens one model."""
        dtypes = self.dtypes
        if len(dtypes) != 1:
            raise IclVectorsError(f"--dtype {','.join(dtypes)}: expected one dtype here.")
        return dtypes[0]

    def open(self, reference: str, dtype: str, quiet: bool) -> "Model":
        """Open one model."""
        if self.on_server and (self.device or self.device_map):
            raise IclVectorsError(
                "--device or --device-map with --remote: expected one of them; "
                "the server places the model."
            )
        calm_libraries(quiet)
        from icl_vectors.models.load import load_model

        return load_model(
            reference,
            dtype=dtype,
            device=self.device,
            device_map=self.device_map,
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
            remote=self.on_server,
            in_flight=self.in_flight,
            log=say(quiet),
        )


AS_USUAL = ModelOptions()


def expands_options(
    command: Callable[..., None], without: Sequence[str] = (), **groups: Any
) -> Callable[..., None]:
    """A command whose arguments `model_options` and `given` are given as options of their own.

    Args:
        without: options of `model_options` that the command does not take.
        groups: for `given`, the class of the configuration whose fields are its options; the
            command gets them as a dict, as they were typed.
    """
    of_command = signature(command)
    taken = [field for field in fields(ModelOptions) if field.name not in without]
    of_model = [_option(field.name, field.type, field.default) for field in taken]
    of_groups = {"model_options": of_model, **{name: _of(kind) for name, kind in groups.items()}}
    expanded = {name: of_groups[name] for name in of_command.parameters if name in of_groups}
    all_of_them: list[Parameter] = []
    for name, parameter in of_command.parameters.items():
        by_name = parameter.replace(kind=Parameter.KEYWORD_ONLY)
        all_of_them += expanded.get(name, [by_name])

    @wraps(command)
    def run(**typed: Any) -> None:
        values: dict[str, Any] = {
            group: {one.name: typed.pop(one.name) for one in own} for group, own in expanded.items()
        }
        if "model_options" in values:
            values["model_options"] = ModelOptions(**values["model_options"])
        command(**typed, **values)

    shown: Any = run
    shown.__signature__ = of_command.replace(parameters=all_of_them)
    shown.__annotations__ = {one.name: one.annotation for one in all_of_them}
    return run


def _of(config: type[Config]) -> list[Parameter]:
    """An option for each field of a configuration; tasks may also come from files."""
    found = []
    for name in config.own_first():
        if name == "tasks":
            found.append(_option("tasks", options.Tasks, None))
            found.append(_option("task_file", options.TaskFiles, None))
            found.append(_option("strict_tasks", options.StrictTasks, False))
            continue
        if name == "pairs":
            found.append(_option("task_file", options.TaskFiles, None))
            found.append(_option("strict_tasks", options.StrictTasks, False))
        field = config.model_fields[name]
        option = typer.Option("--" + name.replace("_", "-"), help=field.description)
        found.append(_option(name, Annotated[_plain_type(field), option], field.default))
    return found


def _option(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain_type(field: Any) -> Any:
    """What typer reads from the command line for a field: a flag, a whole number, a file, text."""
    default = field.default
    if isinstance(default, bool | int):
        return type(default)
    if default is not None:
        return str
    kinds = {get_origin(one) or one for one in (field.annotation, *get_args(field.annotation))}
    plain = next((one for one in PLAIN if one in kinds and tuple not in kinds), str)
    return plain | None


def say(quiet: bool) -> Callable[[str], None]:
    """A function that writes a line to stderr, or nothing."""
    return lambda text: None if quiet else show(text, sys.stderr)


def calm_libraries(quiet: bool) -> None:
    """Keep other libraries' bars out of files and of quiet runs; must precede their import."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # it says at every product of int8 that float16 is used in it
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    if quiet or not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
