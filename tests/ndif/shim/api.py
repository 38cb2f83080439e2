"""NDIF's API with anyio's backend imported before nnsight.

nnsight gives every object a `save`, which anyio's typed attributes refuse when they are made
later: uploads over 1 MB would be answered with 400.
"""

import anyio._backends._asyncio
import anyio.abc
import anyio.from_thread
import anyio.to_thread  # noqa: F401
from ndif.services.api.app import app  # noqa: F401
