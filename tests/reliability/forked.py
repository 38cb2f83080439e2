"""Commands in forked processes: the libraries are imported once, each command starts in moments."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

TASKS = "list_first,to_upper,country_capital,antonyms"
UNITS = len(TASKS.split(","))


def prepare(place: Path) -> list[str]:
    """Save a tiny model at a place, import all that a sweep needs; returns the sweep's arguments.

    The command is to be given in a folder beside `model`; its run is then in `run`.
    """
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
    import torch
    import transformers.models.llama.modeling_llama
    import transformers.pipelines.text_generation  # noqa: F401

    import icl_vectors.cli.main
    import icl_vectors.experiments.sweep
    import icl_vectors.graph.answers
    import icl_vectors.models.load
    import icl_vectors.report.write  # noqa: F401

    torch.set_num_threads(1)
    _save_model(place / "model")
    counts = ["--shots", "3", "--dev", "4", "--test", "4", "--batch-size", "4"]
    model = ["--model", "../model", "--answer", "generate"]
    return ["sweep", *model, "--tasks", TASKS, *counts, "--output", "run"]


def start(
    arguments: list[str], place: Path, before: Callable[[], None] = lambda: None, log: str = "log"
) -> int:
    """Run a command at a place in a process of its own, what it says in `log`; returns its number.

    Args:
        before: called in the new process first.
    """
    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, f"expected to fork from one thread, found {threads}"
    place.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        _run(arguments, place, before, log)
    return process


def ended(process: int, seconds: float) -> int | None:
    """Wait for a process; its exit code (of a signal: minus its number), or None if it goes on."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def _save_model(folder: Path) -> None:
    """In a process of its own: training a tokenizer leaves threads behind."""
    process = os.fork()
    if process == 0:
        from tests.tiny import bytes_tokenizer, random_model, save_model

        save_model(folder, random_model("llama"), bytes_tokenizer())
        os._exit(0)
    assert ended(process, 60.0) == 0


def _run(arguments: list[str], place: Path, before: Callable[[], None], log: str) -> NoReturn:
    code = 1
    try:
        os.chdir(place)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        before()
        sys.argv = ["icl-vectors", *arguments]
        from icl_vectors.cli.main import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
