"""A kind of task vector of one's own: θ at the first dummy alone, in place of the mean."""

from dataclasses import replace
from typing import Any

from torch import Tensor

import icl_vectors as icl
from icl_vectors.graph.read import read_dummies
from icl_vectors.methods.state import STATE


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """The state at the arrow of the first dummy, (prompt, layer, hidden)."""
    return read_dummies(model, at, batch, "state")[:, 0]


FIRST_DUMMY = icl.register_method(replace(STATE, name="first-dummy", read=read))


def main() -> None:
    """Compare it with the method of the paper, on the same prompts."""
    model = icl.load_model("gemma-3-270m")
    methods = "state,first-dummy"
    print(icl.compare(model, ["antonyms"], methods, "random", dev=10, test=20))


if __name__ == "__main__":
    main()
