import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from icl_vectors.report.drawing import Drawing, new_figure, render
from icl_vectors.report.drawing.fonts import choose_fonts, spell_out

NO_FONT = "\U00012000"  # cuneiform: in no font that machines have


def drawing(title: str) -> Drawing:
    def draw() -> Figure:
        figure = new_figure(1.0)
        figure.text(0.1, 0.5, title)
        return figure

    return Drawing("figure", "title", "caption", "alternative", draw)


def pixels(title: str) -> Any:
    return np.asarray(imread(io.BytesIO(render(drawing(title)).png), format="png"))


def test_a_name_that_the_font_lacks_is_drawn_with_another_font_of_the_machine() -> None:
    figure = new_figure(1.0)
    label = figure.text(0.1, 0.5, "の capital")  # in matplotlib's STIX fonts, not in its DejaVu
    choose_fonts([label])
    spell_out([label])
    assert label.get_text() == "の capital"
    assert label.get_fontfamily()[0] == "DejaVu Sans" and len(label.get_fontfamily()) == 2


@pytest.mark.filterwarnings("error")
def test_what_no_font_has_is_spelled_out_where_boxes_would_look_alike() -> None:
    one, other = NO_FONT, chr(ord(NO_FONT) + 1)
    assert np.array_equal(pixels(one), pixels("U+12000"))
    assert not np.array_equal(pixels(one), pixels(other))
    assert one in render(drawing(one)).svg, "there text is text, and the reader's fonts show it"


def test_names_that_the_font_has_are_drawn_as_before() -> None:
    figure = new_figure(1.0)
    label = figure.text(0.1, 0.5, "θ→é ж α")
    before = label.get_fontfamily()
    choose_fonts([label])
    spell_out([label])
    assert (label.get_text(), label.get_fontfamily()) == ("θ→é ж α", before)
