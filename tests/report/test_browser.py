import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PROBE = """
<script>
const found = { errors: [] };
addEventListener("error", (event) => found.errors.push(event.message));
addEventListener("load", () => {
  const table = document.getElementById("run1-methods-table-tasks");
  const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
  const column = (place) => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
  const heads = [...table.tHead.rows[0].cells];
  const press = (place) => heads[place].querySelector("button").click();
  found.before = names();
  press(0); found.up = names(); found.sorted = heads[0].getAttribute("aria-sort");
  press(0); found.down = names(); found.turned = heads[0].getAttribute("aria-sort");
  press(3); found.numbers = column(3).map(parseFloat);
  found.left = heads[0].getAttribute("aria-sort");
  const figures = [...document.querySelectorAll("figure svg")];
  found.figures = figures.map((svg) => svg.getBoundingClientRect().width > 200);
  found.named = figures.every((svg) => svg.querySelector("title, desc").textContent.length > 5);
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  document.title = JSON.stringify(found);
});
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_page_works_in_a_real_browser(page_of_two: Path, tmp_path: Path) -> None:
    page = page_of_two.read_text("utf-8")
    probed = tmp_path / "probed.html"
    probed.write_text(page.replace("<head>", "<head>" + PROBE, 1), "utf-8")
    found = open_page(probed, tmp_path / "profile")
    assert found["errors"] == []
    assert found["up"] == sorted(found["before"]) != found["before"]
    assert found["down"] == found["up"][::-1]
    assert (found["sorted"], found["turned"], found["left"]) == ("ascending", "descending", None)
    assert found["numbers"] == sorted(found["numbers"])
    assert found["figures"] == [True] * page.count("<figure>")
    assert len(found["figures"]) == 19
    assert found["named"]
    assert found["overflow"] <= 0


FILTERS = """
<script>
const found = { errors: [] };
addEventListener("error", (event) => found.errors.push(event.message));
addEventListener("load", () => {
  const form = document.querySelector("form.filters");
  const rows = [...document.getElementById("run1-answers-table-answers").tBodies[0].rows];
  const choose = (name, value) => {
    form.elements[name].value = value;
    form.elements[name].dispatchEvent(new Event("change", { bubbles: true }));
    const shown = rows.filter((row) => row.getBoundingClientRect().height > 0);
    return shown.map((row) => [...row.cells].map((cell) => cell.textContent));
  };
  found.visible = form.getBoundingClientRect().height > 0;
  found.all = choose("task", "");
  found.upper = choose("task", "upper");
  found.count = form.querySelector("output").value;
  found.wrong = choose("wrong", "4");
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  document.title = JSON.stringify(found);
});
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_test_prompts_are_filtered_by_task_and_by_what_is_wrong(
    own_page: Path, tmp_path: Path
) -> None:
    probed = tmp_path / "probed.html"
    page = own_page.read_text("utf-8")
    probed.write_text(page.replace("<head>", "<head>" + FILTERS, 1), "utf-8")
    found = open_page(probed, tmp_path / "profile")
    assert found["errors"] == [] and found["visible"] and found["overflow"] <= 0
    answers = icl.predictions(own_page.parent).query("split == 'test'")
    assert (
        len(found["all"]) == answers["query"].groupby([answers["task"], answers["prompt"]]).ngroups
    )
    assert found["upper"] == [row for row in found["all"] if row[0] == "upper"] != found["all"]
    assert found["count"] == f"{len(found['upper'])} rows"
    wrong = answers.query("method == 'hypothesis' and task == 'upper' and not correct")
    assert [row[1] for row in found["wrong"]] == list(wrong["query"])
    assert all(row[4].endswith("✗") for row in found["wrong"])


def open_page(page: Path, profile: Path) -> dict[str, Any]:
    """Open a page and return what its probe put into the title; console errors fail."""
    run = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--enable-logging=stderr", "--window-size=500,900",
            f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert ":CONSOLE" not in run.stderr, run.stderr
    title = re.search(r"<title>(\{.*?\})</title>", run.stdout, re.DOTALL)
    assert title, run.stdout[:2000]
    found: dict[str, Any] = json.loads(unescape(title.group(1)))
    return found
