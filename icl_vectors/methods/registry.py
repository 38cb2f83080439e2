"""All methods by name: those of the package in the order of their papers, then the user's."""

from functools import cache
from importlib.metadata import entry_points

from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.methods.function import FUNCTION
from icl_vectors.methods.icv import ICV
from icl_vectors.methods.learned import LEARNED
from icl_vectors.methods.linear import LINEAR
from icl_vectors.methods.method import Method
from icl_vectors.methods.multi import MULTI
from icl_vectors.methods.state import STATE, STATE_MEAN, STATE_MEAN_ADD
from icl_vectors.methods.state_vector import STATE_VECTOR
from icl_vectors.remote import by_value

GROUP = "icl_vectors.methods"  # the entry points by which an installed package adds methods
METHODS: dict[str, Method] = {
    one.name: one
    for one in (
        *(STATE, STATE_MEAN, STATE_MEAN_ADD, FUNCTION, ICV, STATE_VECTOR, MULTI),
        *(LEARNED, LINEAR),
    )
}
OWN = tuple(METHODS)


def register_method(method: Method) -> Method:
    """Add a kind of task vector: `compare`, `extract` and `apply` then know it by its name.

    Registering a method again, as a notebook's cell does, replaces it. Its functions run inside
    the session, here or on a server, and hold nothing but tensors, plain Python and nnsight's
    calls; see `Method` for what each gets and returns.

    Returns:
        The method.

    Raises:
        IclVectorsError: the name is that of one of the package's methods, or can't be one.
    """
    if not isinstance(method, Method):
        raise IclVectorsError(
            f"register_method: expected an icl_vectors.Method, found {type(method).__name__}."
        )
    name = method.name
    if name in OWN or not name.replace("-", "_").isidentifier():
        found = "that of a built-in method" if name in OWN else "none"
        raise IclVectorsError(
            f"register_method {name!r}: expected a new name of letters, digits and -, found "
            f"{found}."
        )
    METHODS[name] = method
    for function in (method.read, method.make, method.start, method.inject):
        by_value.add(function.__module__)
    return method


def find_method(name: str, what: str = "method") -> Method:
    """The method of a name.

    Raises:
        IclVectorsError: there is none.
    """
    _load_plug_ins()
    if name not in METHODS:
        raise unknown_name(what, name, METHODS)
    return METHODS[name]


def parse_methods(text: str) -> list[Method]:
    """Methods from "all" or names with commas between them, each once.

    "all" are those that fit nothing; the others are asked for by name.

    Raises:
        IclVectorsError: an unknown name, or none.
    """
    _load_plug_ins()
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["all"]:
        return [one for one in METHODS.values() if one.fit is None]
    if not names:
        raise IclVectorsError("--methods: expected names of methods, or all, found none.")
    return [find_method(name, "--methods") for name in dict.fromkeys(names)]


@cache
def _load_plug_ins() -> None:
    """Register the methods of installed packages, once in a process."""
    for entry in entry_points(group=GROUP):
        if entry.name not in METHODS:
            register_method(entry.load())
