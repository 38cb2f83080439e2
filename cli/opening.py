"""Options that come in groups: how a model is opened, and what an experiment is asked for.

A command takes each group as one argument; `expands_options` puts the group's options in its
place, so that they are listed where it is in the command's own list.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from icl_vectors.cli import options
from icl_vectors.cli.loading import ModelOptions, choose_dtypes
from icl_vectors.experiments.config import Config

PLAIN = (bool, int, Path)


@dataclass(frozen=True)
class Opening:
    """What was given; each field is an option of the command line."""

    dtype: options.Dtypes = "auto"
    load_in_4bit: options.In4Bit = False
    load_in_8bit: options.In8Bit = False
    device: options.Device = None
    device_map: options.DeviceMap = None
    revision: options.Revision = None
    remote: options.Remote = False
    host: options.Host = None
    trust_remote_code: options.TrustRemoteCode = False

    @property
    def dtypes(self) -> list[str]:
        """The dtypes that are meant.

        Raises:
            IclVectorsError: one is not known, or they contradict each other.
        """
        return choose_dtypes(self.dtype, self.load_in_4bit, self.load_in_8bit)

    @property
    def on_server(self) -> bool | str:
        """The server's address, True for the usual one, or False."""
        return self.host or self.remote

    def opener(self, quiet: bool) -> ModelOptions:
        """What opens the models."""
        return ModelOptions(
            self.device,
            self.device_map,
            self.revision,
            self.trust_remote_code,
            quiet,
            self.on_server,
        )


AS_USUAL = Opening()
NAMES = [field.name for field in fields(Opening)]


def expands_options(command: Callable[..., None], **groups: Any) -> Callable[..., None]:
    """A command whose arguments `opening` and `given` are given as options of their own.

    Args:
        groups: for `given`, the class of the configuration whose fields are its options; the
            command gets them as a dict, as they were typed.
    """
    of_command = signature(command)
    of_groups = {"opening": _of_opening(), **{name: _of(kind) for name, kind in groups.items()}}
    expanded = {name: of_groups[name] for name in of_command.parameters if name in of_groups}
    all_of_them: list[Parameter] = []
    for name, parameter in of_command.parameters.items():
        by_name = parameter.replace(kind=Parameter.KEYWORD_ONLY)
        all_of_them += expanded.get(name, [by_name])

    @wraps(command)
    def run(**typed: Any) -> None:
        values = {
            group: {one.name: typed.pop(one.name) for one in own} for group, own in expanded.items()
        }
        if "opening" in values:
            values["opening"] = Opening(**values["opening"])  # type: ignore[assignment]
        command(**typed, **values)

    shown: Any = run
    shown.__signature__ = of_command.replace(parameters=all_of_them)
    shown.__annotations__ = {one.name: one.annotation for one in all_of_them}
    return run


def _of_opening() -> list[Parameter]:
    return [_option(field.name, field.type, field.default) for field in fields(Opening)]


def _of(config: type[Config]) -> list[Parameter]:
    """An option for each field of a configuration; tasks may also come from files."""
    found = []
    for name in config.own_first():
        if name == "tasks":
            found.append(_option("tasks", options.Tasks, None))
            found.append(_option("task_file", options.TaskFiles, None))
            found.append(_option("strict_tasks", options.StrictTasks, False))
            continue
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
    kinds = {get_origin(one) or one for one in (field.annotation, *get_args(field.annotation))}
    plain = next((one for one in PLAIN if one in kinds), str)
    text = default is not None or tuple in kinds
    return str if default is not None else (str if text else plain) | None
