"""Every command in an environment of the core dependencies: all else can't be imported."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROGRAM = """
    import contextlib, io, json, sys, traceback

    allowed = set(sys.argv[1].split(",")) | sys.stdlib_module_names

    class CoreAlone:
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            if top in allowed or top.startswith("_"):
                return self.finder.find_spec(name, path, target)

        def __getattr__(self, name):
            return getattr(self.finder, name)

    sys.meta_path[:] = map(CoreAlone, sys.meta_path)
    from icl_vectors.cli.main import run
    from icl_vectors.report import write
    drawn, render = {}, write.render
    write.render = lambda one: drawn.get(one.name) or drawn.setdefault(one.name, render(one))
    ended = []
    for arguments in json.loads(sys.argv[2]):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                code = run(arguments)
            except Exception:
                code = traceback.format_exc()
        ended.append([code, said.getvalue()])
    with open(sys.argv[3], "w") as file:
        json.dump(ended, file)
"""
COUNTS = ["--shots", "2", "--dev", "3", "--test", "4"]
TWO = ["--tasks", "to_upper,to_lower"]

COMMANDS = [
    ["sweep", *COUNTS, *TWO, "--dtype", "float32,bfloat16", "--output", "{place}/two"],
    ["compare", *COUNTS, *TWO, "--methods", "state,function", "--output", "{place}/compare"],
    ["reproduce", *COUNTS, "--tasks", "list_last,list_first", "--output", "{place}/all"],
    ["report", "{place}/all", "{place}/compare"],
    ["share", "{place}/all", "-o", "{place}/shared"],
    ["extract", "--task", "to_upper", "-o", "{place}/theta.safetensors"],
    ["apply", "{place}/theta.safetensors", "a", "--layer", "1"],
    ["check"],
    ["plan", *TWO],
    ["tasks", "to_upper"],
    ["models"],
]


def core() -> set[str]:
    """The names that can be imported after `pip install icl-vectors`, dependencies of such too."""
    wanted, seen = {("icl-vectors", "")}, set()
    while wanted:
        name, extra = wanted.pop()
        seen.add((name, extra))
        environment: Any = {**default_environment(), "extra": extra}
        for text in distribution(name).requires or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate(environment):
                for of in ("", *one.extras):
                    found = (canonicalize_name(one.name), of)
                    wanted |= {found} - seen
    distributions = {name for name, _ in seen}
    return {
        module
        for module, owners in packages_distributions().items()
        if distributions & {canonicalize_name(owner) for owner in owners}
    }


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> list[tuple[Any, str]]:
    """Exit code and stderr of each command; all are given in one process, one after another."""
    place = tmp_path_factory.mktemp("core")
    given = [[one.replace("{place}", str(place)) for one in command] for command in COMMANDS]
    for command in given:
        if command[0] not in ("report", "share", "tasks", "models"):
            command += ["--model", str(llama_folder)]
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), ",".join(sorted(core()))]
    environment = {**os.environ, "ICL_VECTORS_CACHE": str(place / "cache")}
    file = place / "ended.json"
    subprocess.run([*program, json.dumps(given), str(file)], env=environment, check=True)
    found: list[tuple[Any, str]] = json.loads(file.read_text("utf-8"))
    return found


def test_what_extras_bring_is_not_in_the_core() -> None:
    names = core()
    assert {"torch", "nnsight", "matplotlib", "scipy", "sklearn", "typer"} <= names
    assert not names & {"pytest", "gguf", "bitsandbytes", "mkdocs", "mypy"}


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[one[0] for one in COMMANDS])
def test_a_command_runs_on_the_core_alone(ended: list[tuple[Any, str]], number: int) -> None:
    code, said = ended[number]
    assert code == 0, said[-2000:]
    assert "No figures and no report" not in said
