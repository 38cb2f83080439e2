import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

import icl_vectors as icl
from tests.cli_page import cli_page
from tests.notebook_page import page_of

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def words(page: str) -> str:
    """A page without blanks and the names of types, which change with typer's version."""
    return re.sub(r"<[^>]*>|\b(TEXT|INTEGER|FLOAT|PATH|RANGE)\b|\s", "", page)


def test_the_help_of_every_command_stands_in_the_docs() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    assert words(page) == words(cli_page()), "python -m tests.cli_page > docs/cli.md"


def test_every_public_name_stands_in_the_api_reference() -> None:
    page = (DOCS / "api.md").read_text("utf-8")
    named = {line.rsplit(".", 1)[-1] for line in page.splitlines() if line.startswith("::: ")}
    assert set(icl.__all__) - {"__version__"} <= named


def build(folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(target)],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    api = (tmp_path / "site" / "api" / "index.html").read_text("utf-8")
    for text in ("TaskVector", "max_new_tokens", "θ is multiplied by it first"):
        assert text in api, text
    tutorial = (tmp_path / "site" / "tutorial" / "index.html").read_text("utf-8")
    assert "At which block?" in tutorial and 'src="../tutorial_0.png"' in tutorial
    assert "<td>Madrid</td>" in tutorial and 'class="dataframe"' not in tutorial
    home = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert all(name in home for name in ("map_tsne.png", "layers_mean.png", "Madrid 0.24 ="))
    pages = list((tmp_path / "site").rglob("*.html"))
    loaded = re.compile(r"""<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)""")
    outside = {url for page in pages for url in loaded.findall(page.read_text("utf-8"))}
    assert outside == set()  # the pages load nothing from other servers


def test_the_tutorial_links_to_colab_where_the_repository_has_an_address_there() -> None:
    notebook = json.loads((DOCS / "tutorial.ipynb").read_text("utf-8"))
    assert "colab.research" not in page_of(notebook)[0]
    linked, pictures = page_of(notebook, "https://github.com/lab/vectors")
    assert "colab.research.google.com/github/lab/vectors/blob/main/docs/tutorial.ipynb" in linked
    assert len(pictures) == 2 and all(one.startswith(b"\x89PNG") for one in pictures.values())


def test_a_page_that_is_missing_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home", "utf-8")
    shutil.copy(DOCS / "tutorial.ipynb", tmp_path / "docs")
    settings = (ROOT / "mkdocs.yml").read_text("utf-8").replace("[tests/", f"[{ROOT}/tests/")
    (tmp_path / "mkdocs.yml").write_text(settings, "utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "'cli.md'" in done.stderr


def test_the_citation_names_the_paper_and_this_version() -> None:
    cited: Any = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert cited["version"] == project["version"] and cited["license"] == project["license"]
    assert cited["preferred-citation"]["title"] == "In-Context Learning Creates Task Vectors"
    assert "2310.15916" in cited["preferred-citation"]["url"]


def test_python_in_the_tutorial_can_be_parsed() -> None:
    for page in DOCS.glob("*.md"):
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.S):
            compile(block, str(page), "exec")


def test_every_guarantee_names_a_test_that_is_there() -> None:
    rows = re.findall(r"^\| [^|]+ \| (.*) \|$", (DOCS / "never_in_silence.md").read_text(), re.M)
    named = [re.findall(r"`((?:tests/|test_)[\w/.]+)`", row) for row in rows if "`t" in row]
    assert len(named) > 15 and all(named)
    source = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    for one in (name for row in named for name in row):
        assert (ROOT / one).is_file() if "/" in one else f"def {one}(" in source, one
