"""NDIF's model actors and controller on a machine without a GPU, plugged in by ndif's own settings.

ndif 0.1.2 takes a GPU for granted and passes `trust_remote_code` to two methods of nnsight 0.8.1
that no longer take it. Nothing of the server is edited: NDIF_MODEL_IMPORT_PATH and
NDIF_CONTROLLER_IMPORT_PATH name the classes below, and what has to change changes on import.
"""

import inspect
import json
import math
import struct
import subprocess
from pathlib import Path
from typing import Any

import ray
import torch

if not torch.cuda.is_available():
    torch.cuda.synchronize = lambda *ignored, **more: None  # called after every job

import task_classes  # noqa: F401
from huggingface_hub import snapshot_download
from ndif.services.ray.deployments.controller.controller import _ControllerActor
from ndif.services.ray.sandbox import host as sandbox_host
from ndif.services.ray.sandbox.model import SandboxModelDeployment
from nnsight.modeling.huggingface import HuggingFaceModel
from nnsight.modeling.mixins.remotable import Remotable


def _drop_unknown_arguments(name: str) -> None:
    method = getattr(Remotable, name).__func__
    taken = set(inspect.signature(method).parameters)

    def call(cls: Any, *given: Any, **named: Any) -> Any:
        return method(cls, *given, **{key: named[key] for key in named if key in taken})

    setattr(Remotable, name, classmethod(call))


for _name in ("describe_checkpoint", "max_tp_size"):
    _drop_unknown_arguments(_name)


def _parameters_in(folder: Path) -> int:
    """Parameters of a checkpoint folder, from its safetensors headers."""
    total = 0
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as stream:
            header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        total += sum(map(math.prod, shapes))
    return total


def _parameter_count(repo_id: str, revision: str | None) -> int | None:
    """The controller places a model by the hub's count; offline, what is on disk is counted."""
    if Path(repo_id).is_dir():
        return _parameters_in(Path(repo_id))
    return _parameters_in(Path(snapshot_download(repo_id, local_files_only=True)))


HuggingFaceModel._hub_parameter_count = staticmethod(_parameter_count)

# The sandbox's processes get a list of variables only, and must find this folder too.
sandbox_host.RUNNER_ENV = (
    *sandbox_host.RUNNER_ENV,
    "PYTHONPATH",
    "HF_HUB_OFFLINE",
    "HF_HUB_CACHE",
    "TRANSFORMERS_OFFLINE",
)


class _SubprocessWithShim:
    """The module `subprocess`, but for the sandbox's runner, which is started through ours."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    @staticmethod
    def Popen(command: list[str], **options: Any) -> Any:
        runner = "ndif.services.ray.sandbox.runner"
        return subprocess.Popen(
            ["sandbox_runner" if part == runner else part for part in command], **options
        )


sandbox_host.subprocess = _SubprocessWithShim()


class _Deployment(SandboxModelDeployment):
    """Trusted jobs run in the actor, others in a process of their own; the weights in RAM."""

    CACHEABLE = False  # there is no GPU memory to leave

    def __init__(self, *given: Any, gpu_mem_bytes_by_id: Any = None, **named: Any) -> None:
        super().__init__(*given, gpu_mem_bytes_by_id={}, **named)

    def load_from_disk(self) -> Any:
        model = HuggingFaceModel.from_model_key(
            self.model_key, dispatch=True, dtype=self.dtype_name, device="cpu", **self.kwargs
        )
        model._module.requires_grad_(False)
        return model

    def from_cache(self, gpu_mem_bytes_by_id: Any) -> None:
        self.cached = False


@ray.remote(num_cpus=1, max_restarts=-1)
class ModelActor(_Deployment):
    """What NDIF_MODEL_IMPORT_PATH names."""


class _Controller(_ControllerActor):
    """Importable, so that the controller's process imports this module."""


@ray.remote(num_cpus=1, num_gpus=0, max_restarts=-1, resources={"head": 1})
class ControllerActor(_Controller):
    """What NDIF_CONTROLLER_IMPORT_PATH names."""
