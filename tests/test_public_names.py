import ast
import doctest
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import icl_vectors as icl

SCRIPT = Path(__file__).parent / "typed" / "user_script.py"
PACKAGE = Path(icl.__file__).parent


def modules_with_examples() -> Iterator[str]:
    for file in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in file.read_text("utf-8"):
            inside = file.relative_to(PACKAGE.parent).with_suffix("")
            yield ".".join(inside.parts)


def test_the_users_script_uses_every_public_name() -> None:
    names = {
        alias.name
        for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "icl_vectors"
        for alias in node.names
    }
    assert names == set(icl.__all__)


def test_a_users_script_is_typed_strictly_and_mistakes_are_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    text = SCRIPT.read_text("utf-8").replace("texts: list[str] =", "texts: list[int] =")
    wrong.write_text(text, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    options = ["--config-file", str(PACKAGE.parent / "pyproject.toml")]
    done = subprocess.run([*command, *options, str(wrong)], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 1 and 'variable has type "list[int]"' in lines[0], done.stdout


def test_every_public_name_says_what_it_is() -> None:
    for name in icl.__all__:
        value = getattr(icl, name)
        assert isinstance(value, str) or (value.__doc__ and value.__doc__.strip()), name


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_the_examples_of_docstrings_run(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert tried > 0 and failed == 0
