from typing import Any

import pytest
import torch

from icl_vectors.batches import layer_groups, make_batches, whole_prompts
from icl_vectors.encoding import EncodedPrompt
from icl_vectors.prompts import Prompt

PROMPT = Prompt("one", "t", 1, "test", "x", ("y",), (("a", "b"),), ("c",))
SHORT = EncodedPrompt(PROMPT, (1, 11), ((12, 3), (13, 14, 3)), (1, 12, 3), (20,))
LONG = EncodedPrompt(PROMPT, (1, 11, 15, 16), ((17, 3), (18, 3)), (1, 17, 18, 3), (21, 22))


def batch(**options: Any) -> dict[str, Any]:
    (made,) = make_batches([SHORT, LONG], 2, takes_positions=True, **options)
    return made


def test_the_demonstrations_are_padded_on_the_left() -> None:
    shared = batch()["shared"]
    assert shared["input_ids"].tolist() == [[0, 0, 1, 11], [1, 11, 15, 16]]
    assert shared["attention_mask"].tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert shared["position_ids"].tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]


def test_the_ends_are_padded_on_the_right_and_go_on_where_the_demonstrations_ended() -> None:
    made = batch()
    suffixes = made["suffixes"]
    assert suffixes["input_ids"].tolist() == [[12, 3, 0], [13, 14, 3], [17, 3, 0], [18, 3, 0]]
    assert suffixes["attention_mask"].tolist() == [
        [0, 0, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 0],
    ]
    assert suffixes["position_ids"][:, :2].tolist() == [[2, 3], [2, 3], [4, 5], [4, 5]]
    rows = torch.arange(4)
    assert suffixes["input_ids"][rows, made["arrows"]].tolist() == [3, 3, 3, 3]


def test_the_query_alone_is_cut_before_its_arrow() -> None:
    made = batch()
    assert made["before"]["input_ids"].tolist() == [[0, 1, 12], [1, 17, 18]]
    assert made["before"]["attention_mask"].tolist() == [[0, 1, 1], [1, 1, 1]]
    assert made["arrow"]["input_ids"].tolist() == [[3], [3]]
    assert made["arrow"]["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert made["arrow"]["position_ids"].tolist() == [[2], [3]]


def test_accepted_answers_are_padded_with_a_token_that_no_model_has() -> None:
    assert batch()["accepted"].tolist() == [[20, -1], [21, 22]]


def test_without_the_query_only_the_dummies_are_asked() -> None:
    made = batch(with_query=False)
    assert (made["per_prompt"], made["asked"]) == (1, 0)
    assert made["suffixes"]["input_ids"].tolist() == [[13, 14, 3], [18, 3, 0]]
    assert made["arrows"].tolist() == [2, 1]


def test_positions_are_left_out_for_models_that_take_none() -> None:
    (made,) = make_batches([SHORT], 2, takes_positions=False)
    assert all("position_ids" not in made[k] for k in ("shared", "suffixes", "before", "arrow"))


def test_nothing_in_common_and_nothing_before_the_arrow_are_no_inputs() -> None:
    bare = EncodedPrompt(PROMPT, (), ((3,), (12, 3)), (3,), (20,))
    (made,) = make_batches([bare], 2, takes_positions=True)
    assert made["shared"] is None and made["before"] is None
    assert made["suffixes"]["position_ids"].tolist()[1] == [0, 1]
    assert made["arrow"]["position_ids"].tolist() == [[0]]


def test_a_batch_holds_nothing_but_tensors_and_numbers() -> None:
    values = [
        v
        for value in batch().values()
        for v in (value.values() if isinstance(value, dict) else [value])
    ]
    assert all(isinstance(value, torch.Tensor | int) for value in values)


@pytest.mark.parametrize(("size", "expected"), [(1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_prompts_are_split_in_order(size: int, expected: list[int]) -> None:
    made = make_batches([SHORT, LONG, SHORT, LONG, LONG], size, takes_positions=True)
    assert [one["prompts"] for one in made] == expected


def test_whole_prompts_end_together() -> None:
    made = whole_prompts([[5, 3], [1, 6, 7, 3]], takes_positions=True)
    assert made["input_ids"].tolist() == [[0, 0, 5, 3], [1, 6, 7, 3]]
    assert made["position_ids"].tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]


def test_layers_are_grouped_from_the_lowest() -> None:
    assert list(layer_groups([5, 0, 3, 1], 3)) == [[0, 1, 3], [5]]
    assert list(layer_groups([2], 3)) == [[2]]
