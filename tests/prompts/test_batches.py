from collections.abc import Iterator
from typing import Any

import pytest
import torch

from icl_vectors.prompts.batches import Way, layer_groups, make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.sampling import Prompt

PROMPT = Prompt("one", "t", 1, "test", "x", ("y",), (("a", "b"),), ("c",))
SHORT = EncodedPrompt(PROMPT, (1, 11), ((12, 3), (13, 14, 3)), (1, 12, 3), (20,))
LONG = EncodedPrompt(PROMPT, (1, 11, 15, 16), ((17, 3), (18, 3)), (1, 17, 18, 3), (21, 22))


def batch(**options: Any) -> dict[str, Any]:
    (made,) = make_batches([SHORT, LONG], 2, way=Way(True), **options)
    return made


def test_the_demonstrations_are_padded_on_the_left() -> None:
    shared = batch()["shared"]
    assert shared["input_ids"].tolist() == [[0, 0, 1, 11], [1, 11, 15, 16]]
    assert shared["attention_mask"].tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert shared["position_ids"].tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]


def test_the_ends_are_padded_on_the_right_and_go_on_where_the_demonstrations_ended() -> None:
    [part] = batch()["suffixes"]
    suffixes = part["inputs"]
    assert suffixes["input_ids"].tolist() == [[12, 3, 0], [13, 14, 3], [17, 3, 0], [18, 3, 0]]
    masks = ["".join(map(str, row)) for row in suffixes["attention_mask"].tolist()]
    assert masks == ["0011110", "0011111", "1111110", "1111110"]
    assert suffixes["position_ids"][:, :2].tolist() == [[2, 3], [2, 3], [4, 5], [4, 5]]
    rows = torch.arange(4)
    assert suffixes["input_ids"][rows, part["arrows"]].tolist() == [3, 3, 3, 3]


def test_the_query_alone_is_cut_before_its_arrow() -> None:
    made = batch()
    assert made["before"]["input_ids"].tolist() == [[0, 1, 12], [1, 17, 18]]
    assert made["before"]["attention_mask"].tolist() == [[0, 1, 1], [1, 1, 1]]
    assert made["arrow"][0]["inputs"]["input_ids"].tolist() == [[3], [3]]
    assert made["arrow"][0]["inputs"]["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert made["arrow"][0]["inputs"]["position_ids"].tolist() == [[2], [3]]
    assert made["accepted"].tolist() == [[20, -1], [21, 22]], "a token that no model has"


def test_without_the_query_only_the_dummies_are_asked() -> None:
    made = batch(with_query=False)
    assert (made["per_prompt"], made["asked"]) == (1, 0)
    [part] = made["suffixes"]
    assert part["inputs"]["input_ids"].tolist() == [[13, 14, 3], [18, 3, 0]]
    assert part["arrows"].tolist() == [2, 1]


def test_positions_are_left_out_for_models_that_take_none() -> None:
    (made,) = make_batches([SHORT], 2, way=Way(False))
    assert all("position_ids" not in made[key] for key in ("shared", "before"))
    assert all("position_ids" not in made[key][0]["inputs"] for key in ("suffixes", "arrow"))


def test_nothing_in_common_and_nothing_before_the_arrow_are_no_inputs() -> None:
    bare = EncodedPrompt(PROMPT, (), ((3,), (12, 3)), (3,), (20,))
    (made,) = make_batches([bare], 2, way=Way(True))
    assert made["shared"] is None and made["before"] is None
    assert made["suffixes"][0]["inputs"]["position_ids"].tolist()[1] == [0, 1]
    assert made["arrow"][0]["inputs"]["position_ids"].tolist() == [[0]]


@pytest.mark.parametrize("cached", [True, False])
def test_a_batch_holds_nothing_but_tensors_and_numbers(cached: bool) -> None:
    (made,) = make_batches([SHORT, LONG], 2, way=Way(True, cached=cached))
    assert all(isinstance(value, torch.Tensor | int | None) for value in _leaves(made))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def test_whole_prompts_of_one_length_run_together_without_padding_or_cache() -> None:
    (made,) = make_batches([SHORT, LONG], 2, way=Way(True, cached=False))
    assert made["shared"] is None and made["before"] is None
    rows = [(part["rows"].tolist(), part["inputs"]) for part in made["suffixes"]]
    assert [row for row, _ in rows] == [[0], [1], [2, 3]]
    assert rows[0][1]["input_ids"].tolist() == [[1, 11, 12, 3]]
    assert rows[2][1]["input_ids"].tolist() == [[1, 11, 15, 16, 17, 3], [1, 11, 15, 16, 18, 3]]
    assert all(list(inputs) == ["input_ids"] for _, inputs in rows)
    alone = [part["inputs"]["input_ids"].tolist() for part in made["arrow"]]
    assert alone == [[[1, 12, 3]], [[1, 17, 18, 3]]]
    assert [part["arrows"].tolist() for part in made["suffixes"]] == [[-1], [-1], [-1, -1]]


@pytest.mark.parametrize(("size", "expected"), [(1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_prompts_are_split_in_order(size: int, expected: list[int]) -> None:
    made = make_batches([SHORT, LONG, SHORT, LONG, LONG], size, way=Way(True))
    assert [one["prompts"] for one in made] == expected


def test_whole_prompts_end_together() -> None:
    [part] = whole_prompts([[5, 3], [1, 6, 7, 3]], way=Way(True))
    made = part["inputs"]
    assert made["input_ids"].tolist() == [[0, 0, 5, 3], [1, 6, 7, 3]]
    assert made["position_ids"].tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]


def test_layers_are_grouped_from_the_lowest() -> None:
    assert list(layer_groups([5, 0, 3, 1], 3)) == [[0, 1, 3], [5]]
    assert list(layer_groups([2], 3)) == [[2]]
