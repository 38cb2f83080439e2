"""The options that say how a model is opened: one list for every command that opens models.

A command takes them as one argument, `opening`; `opens_models` puts the options in its place, so
that they stand where it stands in the command's own list.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, signature
from typing import Any

from icl_vectors.cli import options
from icl_vectors.cli.loading import ModelOptions, choose_dtypes


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


def opens_models(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose argument `opening` is given as options of its own."""
    own = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields(Opening)
    ]
    of_command = signature(command)
    all_of_them: list[Parameter] = []
    for parameter in of_command.parameters.values():
        by_name = parameter.replace(kind=Parameter.KEYWORD_ONLY)
        all_of_them += own if parameter.name == "opening" else [by_name]

    @wraps(command)
    def run(**given: Any) -> None:
        opening = Opening(**{name: given.pop(name) for name in NAMES})
        command(**given, opening=opening)

    shown: Any = run
    shown.__signature__ = of_command.replace(parameters=all_of_them)
    shown.__annotations__ = {one.name: one.annotation for one in all_of_them}
    return run
