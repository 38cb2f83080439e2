"""Export to the gguf layout of control vectors (llama.cpp's --control-vector, repeng).

What is lost: a task vector *replaces* the state of one token, the arrow, at one block; a control
vector is *added*, times a strength, to the state of every token, at every block in the file. It
carries no template, so nothing makes a prompt end in an arrow. Block 0 can't be written: llama.cpp
has no direction 0. A plain θ, added, is mostly what any prompt has at that block; a difference of
two vectors (`a - b`) is what such files are made for.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from icl_vectors.errors import IclVectorsError, MissingExtra
from icl_vectors.runs.files import write_whole

if TYPE_CHECKING:
    from icl_vectors.vectors.vector import TaskVector

ARCHITECTURE = "controlvector"
FIRST = 1  # llama.cpp refuses direction.0
LOST = (
    "lost: a control vector is added to every token, θ replaces the arrow's state alone; the "
    "template, the demonstrations, the model's revision and block 0 are not in the file."
)


def write_control_vector(
    theta: "TaskVector", path: Path, layers: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Write θ as directions of a gguf file; `direction.L` is added to the output of block L.

    Args:
        layers: those to write; by default the best one, or all but block 0 where none is named.

    Returns:
        The layers that were written.

    Raises:
        IclVectorsError: block 0 was asked for, or a layer that the vector does not hold.
    """
    if find_spec("gguf") is None:
        raise MissingExtra("a gguf control vector", "gguf", "demo")
    from gguf import GGUFWriter

    chosen = _chosen(theta, layers)
    if not path.parent.is_dir() or path.is_dir():
        raise IclVectorsError(
            f"{path}: expected a file in an existing folder, found "
            f"{'a folder' if path.is_dir() else 'no such folder'}; give another place."
        )
    partial = path.with_name(f".{path.name}.writing")
    writer = GGUFWriter(partial, ARCHITECTURE)
    writer.add_string(f"{ARCHITECTURE}.model_hint", theta.model_type or theta.model)
    writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(chosen))
    writer.add_description(f"task vector {theta.task or 'unnamed'} of {theta.model}; {LOST}")
    for layer in chosen:
        writer.add_tensor(f"direction.{layer}", theta.at(layer).float().cpu().numpy())
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        write_whole(path, partial.read_bytes())
    finally:
        partial.unlink(missing_ok=True)
    return chosen


def _chosen(theta: "TaskVector", layers: Sequence[int] | None) -> tuple[int, ...]:
    if layers is None:
        best = theta.best_layer
        layers = [best] if best is not None and best in theta.layers else theta.layers
        layers = [layer for layer in layers if layer >= FIRST]
    if not layers or min(layers) < FIRST:
        raise IclVectorsError(
            f"a gguf control vector: expected layers from {FIRST} on, found "
            f"{', '.join(map(str, layers)) or 'none'}; llama.cpp has no direction for block 0."
        )
    for layer in layers:
        theta.at(layer)
    return tuple(sorted(set(layers)))
