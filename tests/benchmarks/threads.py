"""The same seed over batch sizes, threads and cores: what differs, and how near the ties are.

    python -m tests.benchmarks.threads --dtype float32,bfloat16

Every setting runs in a process of its own. A prediction is the likeliest token after an arrow: of
each test prompt the regular answer, the baseline, and θ injected at every block. A near tie is a
prediction whose two likeliest tokens are closer than twice the largest change of a logit that any
setting made: only there can the order of additions decide.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """How one process runs."""

    threads: int
    cores: int
    batch_size: int

    def __str__(self) -> str:
        return f"{self.threads} threads, {self.cores} cores, batches of {self.batch_size}"


SETTINGS = (
    Setting(1, 1, 25),
    Setting(1, 1, 1),
    Setting(1, 1, 7),
    Setting(1, 2, 25),
    Setting(2, 1, 25),
    Setting(2, 2, 25),
    Setting(4, 2, 25),
    Setting(4, 2, 7),
)
GROUP = 3


def run_here(setting: Setting, dtype: str, arguments: argparse.Namespace) -> None:
    """Print the two largest logits and their tokens, (prompt, way, 2), as JSON."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setting.cores])
    import torch

    from icl_vectors.models.load import load_model
    from icl_vectors.prompts.batches import layer_groups, make_batches
    from icl_vectors.prompts.encoding import encode_prompt
    from icl_vectors.prompts.limits import positions_limit
    from icl_vectors.prompts.sampling import sample_prompts
    from icl_vectors.prompts.template import Template
    from icl_vectors.tasks.task import load_task

    torch.set_num_threads(setting.threads)
    model = load_model(arguments.model, dtype=dtype)
    groups = [[-1], *layer_groups(range(model.n_layers), GROUP)]
    limit, values, tokens = positions_limit(model), [], []
    for task in arguments.tasks.split(","):
        drawn = sample_prompts(load_task(task), dev=0, test=arguments.test)[1]
        encoded = [encode_prompt(model.tokenizer, Template(), one, limit) for one in drawn]
        positions = model.way
        for batch in make_batches(encoded, setting.batch_size, positions):
            found = largest_two(model, batch, groups)
            values += found.values.tolist()
            tokens += found.indices.tolist()
    print(json.dumps({"values": values, "tokens": tokens}))


def largest_two(model: Any, batch: dict[str, Any], groups: list[list[int]]) -> Any:
    """The two largest logits after every arrow of a batch, (prompt, way, 2)."""
    import torch

    from icl_vectors.graph.hooks import hook_points
    from icl_vectors.graph.passes import apply_theta, read_query, read_theta
    from icl_vectors.graph.read import probe_blocks

    nnsight, at = model.nnsight, hook_points(model)
    with model.session():
        with torch.no_grad():
            at = probe_blocks(nnsight, at, batch)
            theta, own = read_theta(nnsight, at, batch)
            before = read_query(nnsight, at, batch)
            ways = [own[:, :1].float()]
            for group in groups:
                logits = apply_theta(nnsight, at, batch, before, theta[:, group], group)
                ways.append(logits.float())
            largest: Any = torch.cat(ways, 1).topk(2, -1)
            largest = largest.save()
    return largest


def measure(setting: Setting, dtype: str, arguments: argparse.Namespace) -> Any:
    """What `run_here` gives in a process of its own, as arrays."""
    import numpy

    words = [sys.executable, "-m", "tests.benchmarks.threads", "--here", json.dumps(setting)]
    words += ["--model", arguments.model, "--tasks", arguments.tasks, "--dtype", dtype]
    words += ["--test", str(arguments.test)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(setting.threads)}
    place = Path(__file__).parents[2]
    done = subprocess.run(words, env=environment, cwd=place, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return numpy.asarray(found["values"]), numpy.asarray(found["tokens"])


def compare(dtype: str, arguments: argparse.Namespace) -> None:
    """Print one line a setting: what differs from the first."""
    found = {setting: measure(setting, dtype, arguments) for setting in SETTINGS}
    values, tokens = found[SETTINGS[0]]
    margins = values[..., 0] - values[..., 1]  # (prompt, way)
    changes = {
        setting: abs(other - values)[ids == tokens].max() for setting, (other, ids) in found.items()
    }
    bound = 2 * max(changes.values())
    total = margins.size
    print(f"{dtype}: {total} predictions; near ties (margin below {bound:.2g}): "
          f"{(margins < bound).sum()}")  # fmt: skip
    for setting, (_, ids) in found.items():
        flipped = ids[..., 0] != tokens[..., 0]
        widest = margins[flipped].max() if flipped.any() else 0.0
        print(f"  {setting!s:<38} largest change of a logit {changes[setting]:.2g}, other "
              f"predictions {flipped.sum()}, the widest margin among them {widest:.2g}",
              flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--tasks", default="country_capital,antonyms,next_letter")
    parser.add_argument("--test", type=int, default=20)
    parser.add_argument("--dtype", default="float32,bfloat16")
    parser.add_argument("--here", help="a setting, to be run in this process")
    arguments = parser.parse_args()
    if arguments.here:
        return run_here(Setting(*json.loads(arguments.here)), arguments.dtype, arguments)
    for dtype in arguments.dtype.split(","):
        compare(dtype, arguments)


if __name__ == "__main__":
    main()
