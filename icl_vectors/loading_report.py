"""What transformers says of weights that a checkpoint lacks or has too many of.

It fills what lacks with random numbers and goes on; here that ends the opening.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from icl_vectors.errors import IclVectorsError

LOGGER = "transformers.modeling_utils"
ROW = re.compile(r"^(\S.*?)\s*\|\s*(MISSING|UNEXPECTED)\b", re.MULTILINE)


class LoadingReport(logging.Handler):
    """Collects the keys of the report, by what is wrong with them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.missing: list[str] = []
        self.unexpected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        for key, status in ROW.findall(record.getMessage()):
            (self.missing if status == "MISSING" else self.unexpected).append(key)

    def require_whole(self, reference: str, blocks: str, count: int) -> None:
        """Refuse a checkpoint that lacks weights, or has more blocks than its configuration says.

        Args:
            blocks: the path of the list of blocks; count: how many may be there.

        Raises:
            IclVectorsError: naming weights.
        """
        if self.missing:
            raise IclVectorsError(
                f"model {reference!r}: expected all weights that its config.json describes, found "
                f"no {min(self.missing)}; fetch the checkpoint again, or mend its config.json."
            )
        surplus = [key for key in self.unexpected if _highest_block(key, blocks) >= count]
        if surplus:
            raise IclVectorsError(
                f"model {reference!r}: expected the {count} blocks of its config.json, found "
                f"weights of more ({min(surplus)}); mend its config.json."
            )


@contextmanager
def watched_loading() -> Iterator[LoadingReport]:
    """A report of what is loaded inside, which is not logged then."""
    logger, report = logging.getLogger(LOGGER), LoadingReport()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(report)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield report
    finally:
        logger.removeHandler(report)
        logger.setLevel(level)
        logger.propagate = propagate


def _highest_block(key: str, blocks: str) -> int:
    """The highest block in a key such as model.layers.{2, 3}.mlp.weight; −1 for another key."""
    found = re.match(re.escape(blocks) + r"\.\{?([\d, ]+)\}?\.", key)
    return max(map(int, found.group(1).split(","))) if found else -1
