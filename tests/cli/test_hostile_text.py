import html
import json
import re
import xml.etree.ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.plain_text import in_one_line, is_order, without_orders
from icl_vectors.report import write
from icl_vectors.report.drawing import render
from icl_vectors.report.write import write_report
from tests.cli.conftest import Command
from tests.report.folders import about, conflict_entry, results, task_entry, write_folder

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TERMINAL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x08\x7f"
TURNED = "\u202egnp.exe\u2066\u200f"
SHELL = "${HOME}`id`$(id)"
TEX = r"\input{/etc/passwd}\write18{id}%&_#^~{}"
MARKDOWN = "|[x](javascript:alert(1))|![y](z)*_<b>"
HOSTILE = SCRIPT + TERMINAL + TURNED + SHELL + TEX + MARKDOWN
IN_ONE_LINE = SCRIPT + TURNED + SHELL + TEX + MARKDOWN  # a task's text has no control characters
ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Elements(HTMLParser):
    """The elements of a page, and those of their attributes that run something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.running: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        for name, value in attrs:
            if name.startswith("on") or "javascript:" in (value or "").lower():
                self.running.append((name, value))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run in which everything that can be text is hostile."""
    data = results()
    entry = task_entry(HOSTILE, HOSTILE)
    data |= {"model": HOSTILE, "dtype": HOSTILE, "tasks": [entry, *data["tasks"][:3]]}
    data["conflict"] = [{**conflict_entry("a", "b"), "a": HOSTILE, "b": HOSTILE + "2"}]
    data["vocabulary"][0] |= {"task": HOSTILE}
    data["vocabulary"][0]["tokens"][0]["token"] = HOSTILE
    data["cluster"]["nearest"] = {HOSTILE: HOSTILE}
    run = about()
    run["model"] |= {"reference": HOSTILE, "weights": HOSTILE}
    run |= {"template": HOSTILE, HOSTILE: HOSTILE, "argv": [HOSTILE]}
    folder = write_folder(tmp_path_factory.mktemp("hostile") / "run", data, run)
    for name in ("prompts.jsonl", "samples.jsonl"):
        lines = (folder / name).read_text("utf-8").splitlines()
        text = json.dumps(HOSTILE)
        changed = [
            line.replace('"x"', text).replace('"y"', text).replace('" y"', text) for line in lines
        ]
        (folder / name).write_text("\n".join(changed) + "\n", "utf-8")
    write_report([folder])
    return folder


def test_the_page_has_the_elements_of_any_page_and_runs_nothing(reported: Path) -> None:
    page = (reported / "report.html").read_text("utf-8")
    elements = Elements()
    elements.feed(page)
    assert elements.running == []
    assert elements.found.count("script") == 1 and "img" not in elements.found
    assert html.escape("<script>alert(1)") in page
    assert not ORDERS.search(page)
    assert r"\x1b]0;owned\x07" in page and r"\u202egnp.exe" in page


def test_the_tables_are_text_in_markdown_and_latex(reported: Path) -> None:
    for file in sorted((reported / "tables").iterdir()):
        text = file.read_text("utf-8")
        assert not ORDERS.search(text), file
        if file.suffix == ".md":
            assert "<script" not in text.replace(r"\<script", "")
            assert not re.search(r"(?<!\\)(\\\\)*`", text)
        else:
            assert r"\input" not in text.replace(r"\textbackslash{}input", "")
            assert r"\write18" not in text
    tasks = (reported / "tables" / "tasks.tex").read_text("utf-8")
    assert r"\textbackslash{}input\{/etc/passwd\}" in tasks
    rows = (reported / "tables" / "tasks.md").read_text("utf-8").splitlines()
    cells = {len(re.findall(r"(?<!\\)\|", row.replace("\\\\", ""))) for row in rows if "|" in row}
    assert len(cells) == 1


def test_the_figures_are_well_formed_and_run_nothing(reported: Path) -> None:
    for file in sorted((reported / "figures").glob("*.svg")):
        text = file.read_text("utf-8")
        assert not ORDERS.search(text), file
        elements = list(xml.etree.ElementTree.fromstring(text).iter())
        names = {element.tag.rpartition("}")[2] for element in elements}
        assert not names & {"script", "img", "foreignObject", "a"}
        addresses = [
            value for one in elements for key, value in one.attrib.items() if "href" in key
        ]
        assert all(value.startswith(("#", "data:image/png;base64,")) for value in addresses)


def test_nothing_is_written_outside_the_folder(reported: Path) -> None:
    inside = {path.name for path in reported.iterdir()}
    assert {"report.html", "figures", "tables"} <= inside
    assert [path.name for path in reported.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["..", ".", "../x", "a\\b", "x\n", TERMINAL, TURNED, "n" * 300])
def test_a_task_whose_name_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(icl.IclVectorsError, match="expected a name that can be that of a file"):
        icl.Task.from_pairs(name, {"a": "b"})


def test_a_run_of_hostile_tasks_is_text_everywhere(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "render", render)  # draws its own figures
    pairs = {f"{IN_ONE_LINE}{i}": f"{i}{IN_ONE_LINE}" for i in range(9)}
    stem = "con $(touch owned) `touch owned` <b>;|&"
    Path(f"{stem}.json").write_text(json.dumps(pairs), "utf-8")
    sweep = "sweep --dev 2 --test 2 --shots 1 --dummies 1 -o run"
    run, as_json, shown = (
        command.tiny(sweep, "--task-file", f"{stem}.json", *more)
        for more in ([], ["--json"], ["--show-prompt"])
    )
    assert run.code == 0, run.err
    for text in (run.out, run.err, shown.out, as_json.out):
        assert not ORDERS.search(text)
    assert json.loads(as_json.out)["tasks"][0]["task"] == stem
    assert sorted(path.name for path in command.place.iterdir()) == [f"{stem}.json", "run"]
    page = Path("run/report.html").read_text("utf-8")
    elements = Elements()
    elements.feed(page)
    assert elements.running == [] and elements.found.count("script") == 1
    assert not ORDERS.search(page)


@pytest.fixture
def hostile_vector(llama: icl.Model, place: Path) -> icl.TaskVector:
    theta = icl.extract(llama, {"a": "b", "c": "d", "e": "f"}, ["g"])
    text = HOSTILE + '")\n```\nimport os\n---\nx: y'
    made: dict[str, Any] = {"task": text, "model": text, "made_by": text, "version": text}
    made |= {"template": f"{IN_ONE_LINE.replace('{}', '')}" + "{input}→{output}"}
    hostile = replace(theta, **made, revision=text, model_type=text, best_layer=1)
    hostile.save(place / "theta.safetensors")
    return hostile


def test_what_a_vector_says_is_text(command: Command, hostile_vector: icl.TaskVector) -> None:
    shown = command("apply", "theta.safetensors", "--info")
    refused = command("apply", "theta.safetensors", "x")
    as_json = command("apply", "theta.safetensors", "--info", "--json")
    assert (shown.code, refused.code, as_json.code) == (0, 2, 0)
    for text in (shown.out, refused.err, as_json.out):
        assert not ORDERS.search(text)
    assert json.loads(as_json.out)["task"] == hostile_vector.task
    assert "<script" not in hostile_vector._repr_html_()


def test_a_hostile_vector_s_card_has_one_code(hostile_vector: icl.TaskVector, place: Path) -> None:
    folder = icl.share([hostile_vector], place / "shared")
    assert sorted(path.name for path in place.iterdir()) == ["shared", "theta.safetensors"]
    card = (folder / "README.md").read_text("utf-8")
    assert not ORDERS.search(card)
    assert card.count("```") == 2 and card.count("\n---\n") == 1
    code = card.split("```python\n")[1].split("```")[0]
    assert [line.split("(")[0] for line in code.splitlines()] == [
        "import icl_vectors as icl", "", "model = icl.load_model", "theta = icl.TaskVector.load",
        "icl.apply",
    ]  # fmt: skip
    compile(code, "card", "exec")
    outside_code = re.sub(r"`[^`\n]*`", "", card.replace("```", ""))
    assert "<script" not in outside_code.replace(r"\<script", "")


def test_orders_are_shown_and_all_else_stays(capsys: pytest.CaptureFixture[str]) -> None:
    kept = "é 首都 → 😀 \u00a0a\tb\nc"
    assert without_orders(kept) == kept
    assert in_one_line(TERMINAL) == r"\x1b]0;owned\x07\x1b[2J\x9b31m\x08\x7f"
    assert in_one_line("a\nb\u202e\ud800") == r"a\nb\u202e\ud800"
    assert all(map(is_order, "\x00\x1b\x7f\x9b\u202e\u2067\ud800"))
    show(HOSTILE)
    show_json({HOSTILE: [HOSTILE, kept]})
    out = capsys.readouterr().out
    assert not ORDERS.search(out)
    assert json.loads(out.split("\n", 1)[1]) == {HOSTILE: [HOSTILE, kept]}
