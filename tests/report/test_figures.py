import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from icl_vectors.report.cluster.maps import similarity_order
from icl_vectors.report.drawing import order_categories, render
from icl_vectors.report.page import inline_svg
from icl_vectors.runs.reading import read_run
from icl_vectors.runs.run import Run
from tests.report import folders
from tests.report.parts import figures_of, task_result


def test_figures_have_captions_with_n_and_text_alternatives(folder: Path) -> None:
    for drawing in figures_of(read_run(folder)):
        assert "n = " in drawing.caption, drawing.name
        assert len(drawing.alternative) > 40, drawing.name


def test_text_stays_text_and_nothing_depends_on_the_day(folder: Path) -> None:
    pictures = {drawing.name: render(drawing) for drawing in figures_of(read_run(folder))}
    assert ">country_capital</text>" in pictures["layers_by_task"].svg
    assert "cosine distance" in pictures["distances"].svg
    for picture in pictures.values():
        assert "dc:date" not in picture.svg
        assert picture.png.startswith(b"\x89PNG")
        assert b"Software" not in picture.png


def test_inline_figures_are_wellformed_with_ids_of_their_own(folder: Path) -> None:
    drawing = figures_of(read_run(folder))[0]
    svg = inline_svg(render(drawing), "run1-x-")
    root = ElementTree.fromstring(svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(str(one).startswith("run1-x-") for one in ids)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "run1-x-title run1-x-desc"
    assert "var(--ink)" in svg and "#1b1b1c" not in svg


@pytest.mark.parametrize("name", ["$x^2$ & <b>", "日本語", "a" * 80])
def test_odd_names_of_a_users_task_are_drawn_as_they_are(name: str) -> None:
    results = (task_result(folders.task_entry(name, name, copies=True)),)
    for drawing in figures_of(Run("m", "float32", 18, {}, {}, results)):
        ElementTree.fromstring(render(drawing).svg)


def test_similar_tasks_are_neighbours_in_the_heat_map() -> None:
    distances = [[0.0, 0.9, 0.1, 0.8], [0.9, 0.0, 0.9, 0.2], [0.1, 0.9, 0.0, 0.7],
                 [0.8, 0.2, 0.7, 0.0]]  # fmt: skip
    order = similarity_order(distances)
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1


def test_categories_keep_the_papers_order() -> None:
    found = order_categories(["user", "knowledge", "algorithmic", "user"])
    assert found == ["algorithmic", "knowledge", "user"]
