"""Modules whose functions travel to a server by value, so that it needs not know them."""

MODULES = ["icl_vectors.graph", "icl_vectors.methods"]


def add(module: str) -> None:
    """Also send the functions of a user's module by value."""
    if module == "__main__":
        return  # travels by value as it is
    if module not in MODULES and not module.startswith(tuple(f"{one}." for one in MODULES)):
        MODULES.append(module)
