"""What a sweep sends to an NDIF server and gets back, in bytes: one task with one seed is one job.

Both ways are compressed by nnsight's client and server (zstandard). The constants were measured on
18 jobs of Gemma 3 270M at the real server (docs/remote.md); every job was within 16 % of them.
"""

from collections.abc import Iterable

import zstandard

from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template

LEVEL = 6  # of nnsight's client
CODE_BYTES = 9_200  # the session's own code and graph
OF_TEXT = 2.3  # ids, masks and positions of prompts, compressed, over their compressed text
OF_THETA = {4: 0.95, 2: 0.85}  # compressed over plain, by the bytes of one number
TOKEN = 2  # an answered token, compressed
SCORE = 4  # a log-probability
ANSWER_BYTES = 800  # names, shapes and framing of what comes back
METHODS = 3


def bytes_up(template: Template, prompts: Iterable[Prompt]) -> int:
    """Of one job: the code, and the prompts as token ids with masks and positions."""
    text = "".join(_text(template, prompt) for prompt in prompts).encode()
    packed = len(zstandard.ZstdCompressor(level=LEVEL).compress(text))
    return CODE_BYTES + int(OF_TEXT * packed)


def bytes_down(
    n_dev: int, n_test: int, candidates: int, dummies: int, n_layers: int, hidden: int, width: int
) -> int:
    """Of one job: mean θ at every layer, tokens answered, log-probabilities.

    Args:
        width: bytes of a number of θ, which comes back in the states' dtype.
    """
    theta = OF_THETA[width] * n_layers * hidden * width
    tokens = n_dev * (candidates + dummies) + n_test * (1 + dummies + 2)
    return int(theta) + tokens * TOKEN + n_test * METHODS * SCORE + ANSWER_BYTES


def _text(template: Template, prompt: Prompt) -> str:
    lines = [template.query(input) for input in (*prompt.dummies, prompt.query)]
    return template.prompt(prompt.demonstrations, prompt.query) + "".join(lines)
