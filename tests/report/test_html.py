import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from icl_vectors.report.write import write_report
from tests.report import folders

EVIL = "<script>alert(1)</script>\"'&"
VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Ids, tags that were not closed, and addresses that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attributes:
            if key == "id":
                self.ids.append(str(value))
            if key in ("src", "href", "xlink:href"):
                self.loaded.append(str(value))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    return parser


def test_the_page_is_one_file_that_loads_nothing(page_of_two: Path) -> None:
    found = outline(page_of_two.read_text("utf-8"))
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert all(link.startswith(("#", "data:")) for link in found.loaded)
    assert {link[1:] for link in found.loaded if link.startswith("#")} <= set(found.ids)


def test_all_text_of_a_run_is_escaped(folder: Path) -> None:
    data = folders.results(model=EVIL)
    data["tasks"][0]["task"] = data["tasks"][0]["category"] = EVIL
    data["conflict"][0]["a"] = EVIL
    data["vocabulary"][0]["tokens"][0]["token"] = EVIL
    data["cluster"]["tasks"][0] = EVIL
    data["cluster"]["nearest"][EVIL] = EVIL
    (folder / "results.json").write_text(json.dumps(data), "utf-8")
    about = folders.about(model=EVIL)
    about["model"]["weights"] = about["host"] = EVIL
    (folder / "run.json").write_text(json.dumps(about), "utf-8")
    for name in ("samples", "prompts"):
        path = folder / f"{name}.jsonl"
        path.write_text(
            path.read_text().replace('" y"', json.dumps(EVIL)).replace('"x"', json.dumps(EVIL))
        )
    page = write_report([folder]).read_text("utf-8")
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    assert page.count("<script>") == 1
    outline(page)


def test_the_remark_on_the_weights_stands_before_the_figures(page_of_two: Path) -> None:
    page = page_of_two.read_text("utf-8")
    assert page.index("dequantised from 4-bit Q4_K_M") < page.index("<nav")


def test_the_opening_gives_the_summary_and_each_verdict(page_of_two: Path) -> None:
    opening = page_of_two.read_text("utf-8").split("<nav")[0]
    assert "18 task(s): baseline 0.05, hypothesis 0.63, regular 0.71." in opening
    assert opening.count("<li>") == 16
    assert "Is it the same depth?" in opening


@pytest.mark.usefixtures("drawn_once")
def test_a_task_that_copies_its_dummies_is_named_in_the_opening(folder: Path) -> None:
    data = folders.results()
    data["tasks"][2]["copies_dummies"] = True
    (folder / "results.json").write_text(json.dumps(data), "utf-8")
    opening = write_report([folder]).read_text("utf-8").split("<nav")[0]
    assert "θ does not carry list_first (copies its dummies)" in opening
    assert opening.count("of in-context learning") == 1
    assert "of in-context learning, tasks without success counted as 0." in opening
    assert "Best by the mean curve: block 9 (of 0 to 17)." in opening


def test_provenance_shows_versions_hashes_and_spelled_out_layers(page_of_two: Path) -> None:
    page = page_of_two.read_text("utf-8")
    provenance = re.sub(r"\s+", " ", page[page.index('id="provenance"') :])
    for value in ("2.13.0+cpu", "hash17", "0–17", "b9aa2db0", "2026-01-01T00:00:00+00:00",
                  "peak memory (GB)"):  # fmt: skip
        assert value in provenance
