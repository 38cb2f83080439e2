"""mkdocs' hook: docs/tutorial.ipynb as a page of the site, its plots as files beside it."""

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOK, PAGE = "tutorial.ipynb", "tutorial.md"
WITHOUT = r'<style.*?</style>|\n\s*| border="1"| class="dataframe"| style="[^"]*"'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and its pictures to what is built."""
    notebook = json.loads((Path(config["docs_dir"]) / NOTEBOOK).read_text("utf-8"))
    text, pictures = page_of(notebook, str(config["repo_url"] or ""))
    files.append(File.generated(config, PAGE, content=text))
    for name, content in pictures.items():
        files.append(File.generated(config, name, content=content))
    return files


def page_of(notebook: dict[str, Any], repository: str = "") -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and its plots by name; a link to Colab where it is on GitHub."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                name = f"tutorial_{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(output["data"]["image/png"]))
                parts.append(f"![What the cell above draws]({name})")
            else:
                parts.append(_shown(output))
    path = repository.removeprefix("https://github.com/")
    if path != repository:
        colab = f"https://colab.research.google.com/github/{path}/blob/main/docs/{NOTEBOOK}"
        parts.insert(1, f"[Open it in Colab]({colab})")
    return "\n\n".join(filter(None, parts)) + "\n", pictures


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    page = "".join(data.get("text/html", ""))
    if "<table" in page:
        return re.sub(WITHOUT, "", page, flags=re.DOTALL)
    text = "".join(output.get("text") or data.get("text/plain", "")).strip()
    return "" if page or not text else f"```\n{text}\n```"
