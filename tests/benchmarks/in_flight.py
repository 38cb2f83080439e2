"""Wall time of 18 tasks on an NDIF server that holds each job back, one at a time and several.

usage: NDIF_VENV=FOLDER python -m tests.benchmarks.in_flight [--held 20] [--in-flight 1,6]

The real server on loopback with a tiny random model, behind `tests.ndif.delay`; one table.
"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import icl_vectors as icl
from icl_vectors.runs.folder import read_records
from tests.benchmarks.random_model import random_llama
from tests.ndif.delay import delayed
from tests.ndif.server import NdifServer
from tests.tiny import N_TOKENS, bytes_tokenizer, save_model

PORT = 28004


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=float, default=20.0)
    parser.add_argument("--in-flight", default="1,6")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="ndif-") as place:
        model = random_llama(
            n_layers=4, hidden=32, heads=4, intermediate=64, n_tokens=N_TOKENS, seed=5
        )
        folder = save_model(Path(place) / "tiny", model, bytes_tokenizer())
        venv, state = Path(os.environ["NDIF_VENV"]), Path(place) / "state"
        with NdifServer(venv, state, {}) as server, delayed(server.host, asked.held, PORT):
            first = None
            for count in map(int, asked.in_flight.split(",")):
                output = Path(place) / str(count)
                there = icl.load_model(
                    str(folder), remote=f"http://127.0.0.1:{PORT}", in_flight=count
                )
                start = monotonic()
                icl.sweep(there, "all", dev=5, test=5, output=output)
                seconds = monotonic() - start
                first = first or seconds
                sent = sum(one["event"] == "submitted" for one in read_records(output))
                print(f"in flight {count:>2}: {sent} jobs, {seconds:6.1f} s, {seconds / first:.2f}")


if __name__ == "__main__":
    main()
