from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from icl_vectors.cli.report import report
from icl_vectors.errors import IclVectorsError
from tests.report import folders


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(report)
    return app


def test_report_prints_the_path_that_it_wrote(app: typer.Typer, tmp_path: Path) -> None:
    folder = folders.write_folder(tmp_path / "run", folders.results())
    page = tmp_path / "page.html"
    found = CliRunner().invoke(app, [str(folder), "--output", str(page)])
    assert (found.exit_code, found.stdout.strip()) == (0, str(page))
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_report_of_a_folder_that_is_no_run_is_an_error_of_the_user(
    app: typer.Typer, tmp_path: Path
) -> None:
    found = CliRunner().invoke(app, [str(tmp_path)])
    assert isinstance(found.exception, IclVectorsError)
    assert "expected the folder of a run" in str(found.exception)
