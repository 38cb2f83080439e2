"""Every command in an environment of the core dependencies: all else can't be imported."""

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
    import sys

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
    from icl_vectors.cli.main import main
    sys.argv = ["icl-vectors", *sys.argv[2:]]
    main()
"""
COUNTS = ["--shots", "2", "--dev", "3", "--test", "4"]
TWO = ["--tasks", "to_upper,to_lower"]


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
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("core")


def test_what_extras_bring_is_not_in_the_core() -> None:
    names = core()
    assert {"torch", "nnsight", "matplotlib", "scipy", "sklearn", "typer"} <= names
    assert not names & {"pytest", "gguf", "bitsandbytes", "mkdocs", "mypy"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep", *COUNTS, *TWO, "--dtype", "float32,bfloat16", "--output", "{place}/two"],
        ["compare", *COUNTS, *TWO, "--methods", "state,function", "--output", "{place}/compare"],
        ["cluster", *COUNTS, "--output", "{place}/run", *TWO],
        ["conflict", *COUNTS, "--pairs", "list_last:list_first", "--output", "{place}/pair"],
        ["vocabulary", "--test", "4", *TWO, "--output", "{place}/words"],
        ["reproduce", *COUNTS, *TWO, "--output", "{place}/all"],
        ["report", "{place}/run", "{place}/compare"],
        ["share", "{place}/run", "-o", "{place}/shared"],
        ["extract", "--task", "to_upper", "-o", "{place}/theta.safetensors"],
        ["apply", "{place}/theta.safetensors", "a", "--layer", "1"],
        ["check"],
        ["plan", *TWO],
        ["tasks", "to_upper"],
        ["models"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_runs_on_the_core_dependencies_alone(
    arguments: list[str], place: Path, llama_folder: Path
) -> None:
    given = [one.replace("{place}", str(place)) for one in arguments]
    opens = given[0] not in ("report", "share", "tasks", "models")
    given += ["--model", str(llama_folder)] if opens else []
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), ",".join(sorted(core())), *given],
        capture_output=True,
        text=True,
        env={**os.environ, "ICL_VECTORS_CACHE": str(place / "cache")},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "No figures and no report" not in done.stderr
