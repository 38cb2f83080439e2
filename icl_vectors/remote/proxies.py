"""Whether the proxies that the environment names can be used, before a network is asked."""

import os
import re

import httpx

from icl_vectors.errors import IclVectorsError, first_line

VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def require_usable_proxies() -> None:
    """Make a client as httpx makes it from the environment.

    Raises:
        IclVectorsError: a proxy's scheme needs a package that is not installed, or a variable
            holds no address.
    """
    try:
        httpx.Client().close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        is_socks = isinstance(error, ImportError)
        cure = 'pip install "httpx[socks]"' if is_socks else "mend or unset that variable"
        reason = "the package for SOCKS is missing" if is_socks else first_line(error, 100)
        raise IclVectorsError(
            f"expected proxies that can be used, found {_named()} ({reason}); {cure}."
        ) from error


def _named() -> str:
    """The variables that are set, without passwords."""
    given = [(name, os.environ.get(name) or os.environ.get(name.lower())) for name in VARIABLES]
    return ", ".join(
        f"{name}={re.sub(r'//[^/@]*@', '//…@', value)[:60]}" for name, value in given if value
    )
