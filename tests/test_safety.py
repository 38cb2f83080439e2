import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("icl_vectors", "cli", "experiments", "data")
FILES = sorted({file.resolve() for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")})
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
RUNS_COMMANDS = {"os.system", "os.popen", "torch.load", "numpy.load", "np.load", "yaml.load"}
RUNS_COMMANDS |= {"yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle", "pd.read_pickle"}
RUNS_COMMANDS |= {"pty.spawn", "torch.hub.load", "torch.jit.load", "joblib.load"}
# The answer of an NDIF server is in torch's own format and no other. With weights_only=True torch
# reads it with an unpickler that knows tensors and plain containers alone; to take that format
# apart without torch would need an unpickler of our own, which would be worse. What came is then
# checked by name and shape (remote/shapes.py).
READS_ANSWERS = "remote/backend.py"


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    return [(file, node) for file in FILES for node in ast.walk(ast.parse(file.read_text("utf-8")))]


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    for file, node in nodes():
        if isinstance(node, ast.Call):
            yield file, ast.unparse(node.func), node


def test_nothing_is_pickled_and_what_runs_code_is_reached_under_no_other_name() -> None:
    for file, node in nodes():
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            assert not RUNS_COMMANDS & {f"{node.module}.{alias.name}" for alias in node.names}, file
        assert not PICKLES & {name.split(".")[0] for name in names}, file
        if isinstance(node, ast.Name):
            assert node.id not in RUNS_CODE, f"{file}:{node.lineno}"


def test_nothing_runs_code_or_commands_from_text() -> None:
    for file, name, call in calls():
        if name == "torch.load" and file.match(READS_ANSWERS):
            assert "weights_only=True" in ast.unparse(call)
            continue
        assert name not in RUNS_CODE | RUNS_COMMANDS, f"{file}: {ast.unparse(call)}"
        for keyword in call.keywords:
            assert keyword.arg != "shell", f"{file}: {ast.unparse(call)}"
            if keyword.arg == "trust_remote_code":
                trusted = isinstance(keyword.value, ast.Constant) and keyword.value.value
                assert not trusted, f"{file}: {ast.unparse(call)}"


def test_only_one_module_prints() -> None:
    package = [file for file in FILES if not {"examples", "build"} & {*file.parts}]
    printing = {file.name for file, name, _ in calls() if file in package and name == "print"}
    assert printing == {"terminal.py"}


def test_code_of_a_checkpoint_is_trusted_only_where_the_user_says_so() -> None:
    found = 0
    for file, node in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            named = [*given.posonlyargs, *given.args][len(given.args) - len(given.defaults) :]
            pairs: list[Any] = [*zip(named, given.defaults, strict=False)]
            pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
            for argument, default in pairs:
                if argument.arg == "trust_remote_code" and default is not None:
                    assert ast.unparse(default) == "False", file
                    found += 1
    assert found > 1


def test_all_files_are_looked_at() -> None:
    names = {file.name for file in FILES}
    assert {"models.py", "main.py", "sweep.py", "check_tasks.py"} <= names
