"""What a sweep sends to an NDIF server and gets back, in bytes.

One task with one seed is one job. These are the constants to correct from measurements.
"""

from collections.abc import Sequence

from icl_vectors.work import PromptSize

CODE_BYTES = 30_000  # the session's own code and graph, once a job
INTEGER = 8  # token ids, masks, positions: int64
SCORE = 4  # log-probabilities: float32
ANSWER_BYTES = 3_000  # names, shapes and framing of what comes back, once a job
METHODS = 3


def bytes_up(
    dev: Sequence[PromptSize], test: Sequence[PromptSize], batch_size: int, positions: bool
) -> int:
    """Of one job: ids, masks and positions of all batches, accepted tokens, and the code."""
    total = CODE_BYTES
    for prompts, asked in ((dev, 0), (test, 1)):
        for start in range(0, len(prompts), batch_size):
            total += _batch_numbers(prompts[start : start + batch_size], asked, positions) * INTEGER
    return total


def bytes_down(
    n_dev: int, n_test: int, candidates: int, dummies: int, n_layers: int, hidden: int, width: int
) -> int:
    """Of one job: mean θ at every layer, tokens answered, log-probabilities.

    Args:
        width: bytes of a number of θ, which comes back in the states' dtype.
    """
    theta = n_layers * hidden * width
    tokens = n_dev * (candidates + dummies) + n_test * (1 + dummies + 2)
    return theta + tokens * INTEGER + n_test * METHODS * SCORE + n_layers + ANSWER_BYTES


def _batch_numbers(batch: Sequence[PromptSize], asked: int, positions: bool) -> int:
    """Integers in the tensors of one batch (see `batches`)."""
    suffixes = [length for one in batch for length in one.suffixes[1 - asked :]]
    shared, suffix = max(one.shared for one in batch), max(suffixes)
    alone, rows, prompts = max(one.alone for one in batch), len(suffixes), len(batch)
    per_token = 1 + int(positions)  # ids and positions
    numbers = prompts * shared * (per_token + 1) if shared else 0
    numbers += rows * (suffix * per_token + shared + suffix) + rows  # mask of all, arrows
    numbers += prompts * (alone - 1) * (per_token + 1) if alone > 1 else 0
    numbers += prompts * (per_token + alone)  # the arrow, its mask
    return numbers + prompts * max(one.accepted for one in batch)
