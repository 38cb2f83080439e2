import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from icl_vectors.notebook import default_observer, in_notebook
from icl_vectors.observer import Observer


def test_progress_and_tables_in_a_notebook(llama_folder: Path, tmp_path: Path) -> None:
    cells = [
        "import torch; torch.set_num_threads(1)",
        f"import icl_vectors as icl; model = icl.load_model({str(llama_folder)!r})",
        "icl.sweep(model, 'to_upper,list_first', dev=2, test=2)",
        "icl.extract(model, icl.load_task('to_upper'))",
    ]
    made: Any = nbformat.v4  # its functions have no types
    notebook = made.new_notebook(cells=[made.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=tmp_path)
    swept, extracted = notebook.cells[2].outputs, notebook.cells[3].outputs
    pages = [one["data"].get("text/html", "") for one in swept if "data" in one]
    progress, table = [page for page in pages if page]
    assert progress.startswith("<progress max='2' value='2'>") and "2 of 2" in progress
    assert "<table" in table and "hypothesis" in table and "list_first" in table
    (vector,) = [one["data"]["text/html"] for one in extracted if "data" in one]
    assert "norm by layer" in vector


def test_a_plain_process_stays_silent() -> None:
    assert not in_notebook()
    assert type(default_observer()) is Observer


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython

    assert sys.modules["IPython"] is IPython
    assert not in_notebook()
