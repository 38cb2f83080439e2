"""What a sweep would cost, from the model's configuration and the prompts' lengths alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from icl_vectors.cost.speed import measure_speed
from icl_vectors.cost.work import Pass, Shape, passes_of_unit
from icl_vectors.errors import IclVectorsError
from icl_vectors.models.architecture import Architecture, text_config
from icl_vectors.models.dtypes import QUANTISED, require_computes
from icl_vectors.models.memory import LARGEST_ON_SERVER, prompts_at_once
from icl_vectors.models.memory_estimate import bytes_of_prompt, inner_size, weight_bytes, width_of
from icl_vectors.prompts.batches import Way
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.remote.cost import bytes_down
from icl_vectors.runs.folder import Unit

PROCESS_BYTES = 600_000_000  # Python with torch, transformers and nnsight; in RAM only
BUS_BYTES = 25e9  # a second, PCIe 4 × 16 as it is named; not measured
INT8_ON_CPU = "bitsandbytes keeps copies on a CPU: twice this was measured"
Prompts = Mapping[Unit, tuple[Sequence[EncodedPrompt], Sequence[EncodedPrompt]]]


@dataclass(frozen=True)
class Place:
    """Where a model may lie: a GPU, RAM, or memory that the user asks about."""

    name: str
    memory: int
    gpu: bool

    @property
    def usable(self) -> int:
        return self.memory - (0 if self.gpu else PROCESS_BYTES)


def places_here(asked: int | None) -> list[Place]:
    """This machine's GPUs and RAM, or a GPU of the memory that is asked about."""
    if asked is not None:
        return [Place(f"A GPU of {asked / 1e9:.0f} GB", asked, True)]
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    found = [Place(f"{gpu.name} (cuda:{i})", gpu.total_memory, True) for i, gpu in enumerate(gpus)]
    return [*found, Place("RAM (cpu)", int(psutil.virtual_memory().total), False)]


class Cost:
    """The cost of one sweep on one model.

    Args:
        module: the model on the meta device.
        prompts: of each unit, dev and test.
        batch_size: prompts at once; None: what would be chosen.
    """

    def __init__(
        self,
        module: Any,
        architecture: Architecture,
        prompts: Prompts,
        layers: Sequence[int],
        batch_size: int | None,
    ) -> None:
        self.module, self.architecture, self.prompts = module, architecture, prompts
        self.way = Way(architecture.takes_positions, architecture.keeps_cache)
        self.config = text_config(module.config)
        self.layers, self.asked = layers, batch_size
        self.shape = Shape.of(module, architecture)
        self.every = [one for both in prompts.values() for part in both for one in part]
        self.most = max(len(part) for both in prompts.values() for part in both)

    def of_prompt(self, dtype: str) -> int:
        """Bytes that one prompt of a batch takes."""
        return bytes_of_prompt(self.module, self.architecture, dtype, self.every)

    def in_dtype(self, dtype: str, places: Sequence[Place]) -> dict[str, Any]:
        """Memory in one dtype, and where it fits."""
        return {
            "dtype": dtype,
            "weight_bytes": weight_bytes(self.module, dtype),
            "bytes_per_prompt": self.of_prompt(dtype),
            "places": [self._at(dtype, place) for place in places],
        }

    def passes(self, batch_size: int) -> dict[Unit, list[Pass]]:
        depth = self.shape.n_layers
        return {
            unit: passes_of_unit(*both, self.layers, depth, batch_size, self.way)
            for unit, both in self.prompts.items()
        }

    def work(self, batch_size: int) -> list[dict[str, Any]]:
        """Tokens, layer-tokens and FLOPs of each unit."""
        return [
            {
                "task": unit[0],
                "seed": unit[1],
                "prompts": sum(map(len, self.prompts[unit])),
                "tokens": sum(one.rows * one.tokens for one in passes),
                "layer_tokens": sum(one.layer_tokens for one in passes),
                "flops": sum(map(self.shape.flops, passes)),
                "passes": len(passes),
            }
            for unit, passes in self.passes(batch_size).items()
        ]

    def seconds(self, dtype: str, device: str, batch_size: int) -> float:
        """Estimated time of all units in a dtype, from a measurement on a device.

        Raises:
            IclVectorsError: the device does not compute in the dtype.
        """
        hidden = self.architecture.hidden
        require_computes(dtype, device, hidden)
        speed = measure_speed(dtype, device, hidden, inner_size(self.config, hidden))
        every = [one for passes in self.passes(batch_size).values() for one in passes]
        return speed.seconds(every, self.shape)

    def remote(self, dtype: str, sent: Mapping[Unit, int]) -> dict[str, Any]:
        """Jobs and bytes where an NDIF server runs the sweep: one job a unit.

        Args:
            sent: bytes that go up for each unit.
        """
        width, hidden = width_of(dtype), self.architecture.hidden
        units = [
            {
                "task": unit[0],
                "seed": unit[1],
                "bytes_up": sent[unit],
                "bytes_down": bytes_down(
                    len(dev),
                    len(test),
                    len(self.layers),
                    max(len(one.suffixes) for one in dev) - 1,
                    self.shape.n_layers,
                    hidden,
                    width,
                ),
            }
            for unit, (dev, test) in self.prompts.items()
        ]
        sums = {key: sum(int(str(one[key])) for one in units) for key in ("bytes_up", "bytes_down")}
        return {"jobs": len(units), **sums, "units": units}

    def _at(self, dtype: str, place: Place) -> dict[str, Any]:
        weights, each = weight_bytes(self.module, dtype), self.of_prompt(dtype)
        free = place.usable - weights
        fits = free >= each
        size = self.asked or prompts_at_once(each, free, weights, place.gpu, self.most)
        peak = weights + each * size + (0 if place.gpu else PROCESS_BYTES)
        found = {"name": place.name, "memory": place.memory, "gpu": place.gpu}
        found["fits"] = fits and peak <= place.memory
        if fits:
            remark = {"remark": INT8_ON_CPU} if dtype == "int8" and not place.gpu else {}
            return {**found, "batch_size": size, "peak_bytes": peak, **remark}
        return {**found, "offloaded": self._offloaded(dtype, place)}

    def _offloaded(self, dtype: str, place: Place) -> dict[str, Any] | None:
        """With --device-map auto: what stays outside, and how many bytes that moves in all."""
        if dtype in QUANTISED or not place.gpu:
            return None  # bitsandbytes quantises nothing outside a GPU; RAM has no outside but disk
        each = self.of_prompt(dtype)
        size = self.asked or max(1, min(LARGEST_ON_SERVER, int(place.usable / 2 // each)))
        outside = weight_bytes(self.module, dtype) + size * each - place.usable
        passes = [one for every in self.passes(size).values() for one in every]
        moved = int(outside * sum(one.blocks for one in passes) / self.shape.n_layers)
        return {
            "bytes": outside,
            "batch_size": size,
            "moved_bytes": moved,
            "seconds_at_least": moved / BUS_BYTES,
        }


def best_choice(dtypes: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
    """The first dtype that fits, on the first place where it does."""
    fitting = ((str(one["dtype"]), at) for one in dtypes for at in one["places"] if at["fits"])
    return next(fitting, None)


def parse_memory(text: str) -> int:
    """Bytes of "24GB", "24 GiB" or "24" (GB).

    Raises:
        IclVectorsError: it is none of these.
    """
    units = {"gib": 2**30, "gb": 10**9, "g": 10**9, "mib": 2**20, "mb": 10**6, "": 10**9}
    lowered = text.strip().lower()
    number = lowered.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = lowered[len(number) :].strip()
    try:
        found = int(float(number) * units[unit])
    except (ValueError, KeyError, OverflowError) as error:
        raise IclVectorsError(f"--memory {text!r}: expected a size, e.g. 24GB or 24GiB.") from error
    if found <= 0:
        raise IclVectorsError(f"--memory {text!r}: expected more than 0.")
    return found
