"""In what precision a model is held, and whether this machine computes in it.

Imports torch, and bitsandbytes only where a quantised dtype is tried.
"""

import logging
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from icl_vectors.errors import IclVectorsError, MissingExtra, first_line, unknown_name
from icl_vectors.models.architecture import text_config

DTYPES = ("auto", "float32", "bfloat16", "float16", "int8", "nf4", "fp4")
QUANTISED = ("int8", "nf4", "fp4")
OVERFLOWS_IN_FLOAT16 = ("gemma",)
COMPUTE = torch.bfloat16  # of the quantised ones; in float16 Gemma overflows
BLOCK = 64  # weights that share a scale in bitsandbytes


def check_dtype(dtype: str) -> None:
    """Refuse names that are none, and quantised dtypes without the package that makes them.

    Raises:
        IclVectorsError: naming the known dtypes, or the command that installs what is missing.
    """
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    if dtype in QUANTISED and find_spec("bitsandbytes") is None:
        raise MissingExtra(f"--dtype {dtype}", "bitsandbytes", "quantised")


def loading_options(dtype: str, config: Any) -> dict[str, Any]:
    """What `from_pretrained` is given so that weights are held in a dtype.

    bitsandbytes logs at every product of int8 that it casts the input: once is enough.
    """
    if quantised_as(config) is not None:  # transformers reads how from the checkpoint
        return {"dtype": text_config(config).dtype or COMPUTE}
    if dtype not in QUANTISED:
        return {"dtype": getattr(torch, dtype)}
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    if not any(isinstance(one, _Once) for one in logger.filters):
        logger.addFilter(_Once())
    from transformers import BitsAndBytesConfig

    make: Any = BitsAndBytesConfig
    if dtype == "int8":
        return {"dtype": COMPUTE, "quantization_config": make(load_in_8bit=True)}
    four_bit = {"bnb_4bit_quant_type": dtype, "bnb_4bit_compute_dtype": COMPUTE}
    return {"dtype": COMPUTE, "quantization_config": make(load_in_4bit=True, **four_bit)}


class _Once(logging.Filter):
    """Lets each message through one time."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage() in self._said
        self._said.add(record.getMessage())
        return not said


def choose_dtype(dtype: str, config: Any) -> str:
    """The dtype that is meant: `auto` is what the checkpoint says, but never an overflowing one.

    Raises:
        IclVectorsError: the checkpoint is already quantised, and another dtype is asked for than
            its own, or than that which a device holds it in that has to dequantise it.
    """
    text = text_config(config)
    if (held := quantised_as(config)) is not None:
        if dtype not in ("auto", held, str(text.dtype or COMPUTE).removeprefix("torch.")):
            raise IclVectorsError(
                f"--dtype {dtype}: this checkpoint was saved in {held}; leave --dtype out, or "
                "give the checkpoint that was not quantised."
            )
        return held
    if dtype != "auto":
        return dtype
    stated = str(text.dtype or "float32").removeprefix("torch.")
    if stated == "float16" and text.model_type.startswith(OVERFLOWS_IN_FLOAT16):
        return "bfloat16"
    return stated


def quantised_as(config: Any) -> str | None:
    """The quantisation a checkpoint was saved with (nf4, fp4, int8, gptq, mxfp4 …), or None."""
    stated = getattr(config, "quantization_config", None)
    if not stated:
        return None
    about: dict[str, Any] = stated if isinstance(stated, dict) else stated.to_dict()
    if about.get("load_in_4bit"):
        return str(about.get("bnb_4bit_quant_type") or "fp4")
    if about.get("load_in_8bit"):
        return "int8"
    return str(about.get("quant_method") or "quantised")


def require_computes(dtype: str, device: str, width: int = BLOCK) -> None:
    """Multiply two small matrices in a dtype on a device, before a model is loaded in it.

    Args:
        width: of the model's states; some kernels of bitsandbytes take multiples of 64 alone.

    Raises:
        IclVectorsError: this machine can't; the message says why and what to use.
    """
    if dtype not in QUANTISED and not isinstance(getattr(torch, dtype, None), torch.dtype):
        return  # a quantisation of the checkpoint's own, which transformers checks
    attempt = _multiply_quantised if dtype in QUANTISED else _multiply
    try:
        finite = bool(attempt(dtype, device, width).isfinite().all())
        reason = "" if finite else "one small product holds NaN or infinity"
    except Exception as error:  # whatever a backend raises for what it can't do
        reason = first_line(error, 120)
    if reason:
        raise IclVectorsError(
            f"--dtype {dtype}: {device} does not compute in it at width {width} ({reason}); use "
            f"--dtype {'float32' if dtype == 'bfloat16' else 'bfloat16'}, or another --device."
        )


def _multiply(dtype: str, device: str, width: int) -> torch.Tensor:
    ones = torch.ones(2, width, dtype=getattr(torch, dtype), device=device)
    return ones @ ones.T / width


def _multiply_quantised(dtype: str, device: str, width: int) -> torch.Tensor:
    layers: Any = import_module("bitsandbytes.nn")
    if dtype == "int8":
        layer = layers.Linear8bitLt(width, BLOCK, has_fp16_weights=False)
    else:
        layer = layers.Linear4bit(width, BLOCK, compute_dtype=COMPUTE, quant_type=dtype)
    layer = layer.eval().to(device)
    with torch.no_grad():
        product: torch.Tensor = layer(torch.ones(2, width, dtype=COMPUTE, device=device))
    return product
