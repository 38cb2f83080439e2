import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.layers import parse_layer, parse_layers

N = 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        (" all ", (0, 1, 2, 3, 4, 5)),
        (":", (0, 1, 2, 3, 4, 5)),
        ("1:3", (1, 2)),
        ("4:", (4, 5)),
        (":2", (0, 1)),
        ("-2:", (4, 5)),
        ("::2", (0, 2, 4)),
        ("1:6:2", (1, 3, 5)),
        ("5:1:-2", (3, 5)),
        ("3", (3,)),
        ("-1", (5,)),
        ("4,0,2", (0, 2, 4)),
        ("0, -1,5", (0, 5)),
    ],
)
def test_layers_are_read_as_in_python(text: str, expected: tuple[int, ...]) -> None:
    assert parse_layers(text, N) == expected


@pytest.mark.parametrize(
    "text",
    ["6", "-7", "0,6", "3:9", "-9:", "3:3", "4:2", "::0", "", "a", "1;2", "1,", "1.5", "1:2:3:4"],
)
def test_layers_that_the_model_has_not_are_refused(text: str) -> None:
    with pytest.raises(IclVectorsError) as raised:
        parse_layers(text, N)
    message = str(raised.value)
    assert message.startswith(f"layers {text!r}: expected all, A:B[:STEP] or I,J,… within 0 to 5")
    assert "the model has 6 blocks" in message


def test_one_layer_counts_from_either_end() -> None:
    assert [parse_layer(layer, N) for layer in (0, 5, -1, -6)] == [0, 5, 5, 0]


@pytest.mark.parametrize("layer", [6, -7, 100])
def test_one_layer_out_of_range_is_refused(layer: int) -> None:
    with pytest.raises(IclVectorsError, match="within 0 to 5"):
        parse_layer(layer, N)
