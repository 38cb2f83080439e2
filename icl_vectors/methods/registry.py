"""All methods by name, in the order of their papers."""

from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.methods.function import FUNCTION
from icl_vectors.methods.icv import ICV
from icl_vectors.methods.method import Method
from icl_vectors.methods.multi import MULTI
from icl_vectors.methods.state import STATE, STATE_MEAN, STATE_MEAN_ADD
from icl_vectors.methods.state_vector import STATE_VECTOR

METHODS: dict[str, Method] = {
    one.name: one for one in (STATE, STATE_MEAN, STATE_MEAN_ADD, FUNCTION, ICV, STATE_VECTOR, MULTI)
}


def parse_methods(text: str) -> list[Method]:
    """Methods from "all" or names with commas between them, each once.

    Raises:
        IclVectorsError: an unknown name, or none.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["all"]:
        return list(METHODS.values())
    for name in names:
        if name not in METHODS:
            raise unknown_name("--methods", name, METHODS)
    if not names:
        raise IclVectorsError("--methods: expected names of methods, or all, found none.")
    return [METHODS[name] for name in dict.fromkeys(names)]
