from pathlib import Path

from tests.cli.conftest import Command
from tests.report import folders


def test_report_prints_the_path_that_it_wrote(command: Command, place: Path) -> None:
    folders.write_folder(place / "run", folders.results())
    assert command("report", "run", "--output", "page.html")[:2] == (0, "page.html\n")
    assert (place / "page.html").read_text("utf-8").startswith("<!DOCTYPE html>")
