"""The page in a real browser, served by the command."""

import csv
import io
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

import icl_vectors as icl
from tests.cli.test_hostile_text import IN_ONE_LINE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(find_spec("gradio") is None, reason="needs the extra explore"),
]
MINUTE = 60_000  # ms
DEMONSTRATIONS = {
    "France": "Paris",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Italy": "Rome",
    "Peru": "Lima",
}
Serve = Callable[..., str]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Starts the command and returns the page's address; Ctrl-C ends it with one line."""
    running: list[subprocess.Popen[str]] = []

    @cache
    def start(*options: str) -> str:
        command = [sys.executable, "-m", "icl_vectors", "explore", "--no-browser", *options]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        line = running[-1].stderr.readline()  # type: ignore[union-attr]
        assert line.startswith("http://127.0.0.1:"), line
        return line.split()[0]

    yield start
    for process in running:
        process.send_signal(SIGINT)
    ended = [(process, process.communicate(timeout=60)[1]) for process in running]
    for process, text in ended:
        said = text.strip().splitlines()
        assert process.returncode == 130
        assert said[-1] == "error: interrupted; what was finished is kept."
        assert all(line.startswith(("Loading ", "/no/such/")) for line in said[:-1]), said


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A window; errors in its console, dialogs and requests to other machines fail the test."""
    window = browser.new_page(viewport={"width": 1280, "height": 1000})
    window.set_default_timeout(2 * MINUTE)
    wrong: list[str] = []
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)

    def asked(dialog: Any) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    def went(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            wrong.append(request.url)

    window.on("dialog", asked)
    window.on("request", went)
    yield window
    window.close()
    assert wrong == []


def ask(page: Any) -> None:
    """Press the button and wait until the answer is there, or the complaint."""
    shown = page.locator("#complaint [data-number]")
    before = shown.get_attribute("data-number") if shown.count() else "0"
    page.click("#go")
    page.wait_for_selector(
        f"#complaint [data-number]:not([data-number='{before}'])", state="attached"
    )


def answers(page: Any) -> list[list[str]]:
    """The table's cells, row by row."""
    rows = page.locator("#table tbody tr").all()
    return [row.locator("button").all_inner_texts() for row in rows]


def saved(page: Any, kind: str) -> bytes:
    page.wait_for_function(f"!document.querySelector('#save-{kind}').disabled")
    with page.expect_download() as download:
        page.click(f"#save-{kind}")
    return Path(download.value.path()).read_bytes()


@pytest.mark.skipif(find_spec("gguf") is None, reason="needs the embedded model")
def test_capitals_are_answered_in_the_middle(serve: Serve, page: Any, tmp_path: Path) -> None:
    page.goto(serve())
    page.wait_for_selector("#prompt mark")
    assert page.inner_text("#prompt mark") == "→"
    start = time.monotonic()
    ask(page)
    print(f"{time.monotonic() - start:.1f} s to the table")
    found = list(zip(*answers(page), strict=True))  # by block
    assert {found[9], found[10], found[11]} == {("Madrid", "Berlin", "Athens")}
    assert not {"Madrid", "Berlin", "Athens"} & {*found[3], *found[14]}
    assert "The regular answer to 3 of 3 queries at block 9, 10, 11." in page.inner_text("#table")

    page.click('#table [data-at="0:10"]')
    page.wait_for_selector("#details ol")
    assert "Whole answer: Madrid" in page.inner_text("#details")
    assert page.locator("#details li").count() == 10

    page.click("#take > button, #take button >> nth=0")
    model = icl.load_model("gemma-3-270m")
    theta = icl.extract(model, DEMONSTRATIONS, ["Kenya", "Cuba"])
    expected = icl.apply_by_layer(model, theta, ["Spain", "Germany", "Greece"])
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv").decode("utf-8"))))
    assert [row["answer"] for row in rows] == [*expected["answer"]]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [*expected["probability"]], rel=1e-3
    )
    file = tmp_path / "theta.safetensors"
    file.write_bytes(saved(page, "safetensors"))
    assert icl.apply(model, icl.TaskVector.load(file), ["Spain"], layer=10) == ["Madrid"]
    assert b"Athens" in saved(page, "svg")
    code = page.inner_text("#code .cm-content")
    assert "icl.apply_by_layer(model, theta, ['Spain', 'Germany', 'Greece']" in code

    page.click("#other button >> nth=0")  # letters in the prompt, capitals injected
    page.get_by_label("θ of B in A's prompt").check()
    page.get_by_label("B: draw from a task").click()
    page.get_by_role("option", name="to_upper", exact=True).click()
    page.wait_for_function("document.querySelector('#dummies-b textarea').value.length == 3")
    ask(page)
    page.wait_for_selector("#cosines td")
    assert page.locator("#cosines td").count() == model.n_layers
    assert "in A's prompt" in page.inner_text("#table thead")


def test_whatever_is_typed_is_shown(serve: Serve, page: Any, llama_folder: Path) -> None:
    page.goto(serve("--model", str(llama_folder)))
    page.wait_for_selector("#prompt mark")
    page.fill("#queries textarea", f"{IN_ONE_LINE}\nb\nb")  # a repeated one counts once
    page.fill("#dummies-a textarea", IN_ONE_LINE + "!\nc")
    ask(page)
    assert page.locator("#complaint [role=alert]").count() == 0
    assert "<script>alert(1)</script>" in page.inner_text("#table tbody tr >> nth=0")
    page.click('#table [data-at="0:2"]')
    page.wait_for_selector("#details ol")
    assert "${HOME}`id`$(id)" in page.inner_text("#details h3")
    assert page.locator("#prompt img, #table img, #details img, #table script").count() == 0

    for box, typed, complaint in (
        ("#queries textarea", "", "expected queries, one a line, found none."),
        ("#queries textarea", "a\tb", "expected one line, found a newline or control character"),
        ("#model textarea", "/no/such/model", "/no/such/model"),
    ):
        if "model" in box:
            page.fill("#queries textarea", "b")
            page.click("#how button >> nth=0")
        page.fill(box, typed)
        ask(page)
        page.wait_for_selector("#complaint [role=alert]")
        assert complaint in page.inner_text("#complaint")
        assert page.input_value(box) == typed  # nothing is lost
        page.wait_for_selector("#table button", state="detached")  # no answer to something else


def test_two_windows_take_turns(serve: Serve, browser: Any, llama_folder: Path) -> None:
    address = serve("--model", str(llama_folder))
    windows = [browser.new_page() for _ in range(2)]
    for window, queries in zip(windows, ("a\nb", "c\nd\ne"), strict=True):
        window.goto(address)
        window.wait_for_selector("#prompt mark", timeout=2 * MINUTE)
        window.fill("#queries textarea", queries)
    for window in windows:
        window.click("#go")
    model = icl.load_model(str(llama_folder))
    theta = icl.extract(model, DEMONSTRATIONS, ["Kenya", "Cuba"])
    for window, queries in zip(windows, ("ab", "cde"), strict=True):
        window.wait_for_selector("#table button", timeout=2 * MINUTE)
        expected = icl.apply_by_layer(model, theta, [*queries])["answer"]
        shown = [text.strip() for row in answers(window) for text in row]
        assert len(shown) == len(expected) == len(queries) * model.n_layers
        window.close()


def test_without_gradio_one_line_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['gradio'] = None\n"
        "from icl_vectors.cli.main import run\n"
        "sys.exit(run(['explore', '--no-browser']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: explore: expected the package gradio, found none; "
        'pip install "icl-vectors[explore]".\n'
    )
