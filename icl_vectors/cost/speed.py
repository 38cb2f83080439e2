"""How fast this machine multiplies, measured in a second a dtype at a model's own widths."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import Any

import torch

from icl_vectors.cost.work import Pass, Shape
from icl_vectors.models.dtypes import COMPUTE, QUANTISED

SECONDS = 0.5  # of each of the two measurements
MANY, FEW = 512, 64  # rows of a pass over demonstrations, and of the sweep's single tokens


@dataclass(frozen=True)
class Speed:
    """FLOPs a second on this machine, where many and where few rows meet the same weights."""

    many: float
    few: float
    device: str

    def seconds(self, passes: list[Pass], shape: Shape) -> float:
        """What passes take at these speeds; norms, attention's memory and Python come on top."""
        return sum(shape.flops(one) / self._of(one.rows * one.tokens) for one in passes)

    def _of(self, rows: int) -> float:
        """Between the two measurements by the logarithm of the rows' number."""
        if rows >= MANY:
            return self.many
        if rows <= FEW:
            return self.few * max(rows / FEW, 1 / FEW)
        share = (rows - FEW) / (MANY - FEW)
        return self.few + share * (self.many - self.few)


def measure_speed(dtype: str, device: str, hidden: int, inner: int) -> Speed:
    """Multiply states by one random feed-forward weight, for a second in all."""
    layer = _layer(dtype, hidden, inner).to(device)
    held = COMPUTE if dtype in QUANTISED else getattr(torch, dtype)

    def rate(rows: int) -> float:
        states = torch.randn(rows, hidden, dtype=held, device=device)
        return 2.0 * rows * hidden * inner * _repeats(lambda: layer(states), device)

    with torch.no_grad():
        return Speed(many=rate(MANY), few=rate(FEW), device=device)


def _repeats(work: Callable[[], Any], device: str) -> float:
    """Calls a second, after one that is not counted."""
    work()
    start, count = _now(device), 0
    while (spent := _now(device) - start) < SECONDS or count < 2:
        work()
        count += 1
    return count / spent


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize(torch.device(device))
    return perf_counter()


def _layer(dtype: str, hidden: int, inner: int) -> Any:
    if dtype not in QUANTISED:
        return torch.nn.Linear(hidden, inner, bias=False, dtype=getattr(torch, dtype))
    layers: Any = import_module("bitsandbytes.nn")
    if dtype == "int8":
        return layers.Linear8bitLt(hidden, inner, bias=False, has_fp16_weights=False).eval()
    made = layers.Linear4bit(hidden, inner, bias=False, compute_dtype=COMPUTE, quant_type=dtype)
    return made.eval()
