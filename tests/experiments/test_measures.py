from typing import Any

import pytest
import torch

from icl_vectors.experiments.measures import samples_of, unit_result
from icl_vectors.experiments.summary import summary
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.sampling import Prompt, Split
from icl_vectors.tasks.task import Task

TASK = Task.from_pairs("t", {"x": "y"})


class Numbers:
    """A tokenizer whose tokens are numbers."""

    def decode(self, tokens: list[int]) -> str:
        return str(tokens[0])


def one(number: int, split: Split, accepted: tuple[int, ...], first: int = 9) -> EncodedPrompt:
    prompt = Prompt(f"{split}-{number}", "t", 1, split, f"q{number}", ("y",), (), ("d", "e"))
    suffixes = ((first, 3), (7, 3), (8, 3))
    return EncodedPrompt(prompt, (1,), suffixes, (1, first, 3), accepted, echo=first)


DEV = [one(0, "dev", (10,)), one(1, "dev", (11, 12))]
TEST = [one(2, "test", (10,)), one(2, "test", (11,), first=11), one(0, "test", (12,))]
FOUND: dict[str, Any] = {
    "dev_swept": torch.tensor([[10, 40], [30, 12]]),  # (prompt, candidate)
    "dev_own": torch.tensor([[40, 41], [50, 51]]),  # (prompt, dummy)
    "test_own": torch.tensor([[10, 60, 61], [11, 70, 71], [13, 80, 81]]),  # (prompt, 1 + dummy)
    "test_answers": torch.tensor([[0, 61], [11, 11], [12, 80]]),  # (prompt, 2)
    "test_log_probabilities": torch.tensor([[-0.1, -0.2, -0.3]] * 3),  # (prompt, 3)
    "best": 3,
}


def test_a_result_counts_what_was_accepted_copied_repeated_and_echoed() -> None:
    entry = unit_result(TASK, 1, DEV, TEST, [3, 1], 4, FOUND)
    found = {m: entry[m]["accuracy"] for m in ("baseline", "hypothesis", "regular")}
    assert found == pytest.approx({"baseline": 2 / 3, "hypothesis": 1 / 3, "regular": 2 / 3})
    assert entry["dev_accuracy_by_layer"] == [None, 0.5, None, 0.5], "null where none was swept"
    assert entry["dev_copied_by_layer"] == [None, 0.0, None, 0.5]
    assert entry["best_layer"] == 3
    assert entry["copied"]["hypothesis"]["accuracy"] == pytest.approx(2 / 3), "a dummy's own"
    assert entry["copied"]["regular"]["accuracy"] == 0.0
    assert (entry["n_test"], entry["n_distinct"], entry["n_dev"]) == (3, 2, 2)
    assert (entry["n_dev_queries_in_test"], entry["n_echo"]) == (1, 1)


def test_copying_far_more_often_than_regular_learning_is_flagged() -> None:
    many = [one(number, "test", (10,)) for number in range(20)]
    for answer, copies in ((60, True), (10, False)):
        own, answers = (torch.tensor([row] * 20) for row in ([10, 60, 61], [0, answer]))
        found = {**FOUND, "test_own": own, "test_answers": answers}
        assert unit_result(TASK, 1, DEV, many, [1, 3], 4, found)["copies_dummies"] is copies


def test_there_is_one_sample_an_answer() -> None:
    samples = list(samples_of(Numbers(), DEV, TEST, [3, 1], FOUND))
    tested = [s for s in samples if s["split"] == "test"]
    assert [(s["method"], s["layer"]) for s in tested] == [
        ("baseline", None),
        ("hypothesis", 3),
        ("regular", None),
    ] * 3
    assert [s["prediction"] for s in tested[:3]] == ["0", "61", "10"]
    assert [s["correct"] for s in tested[:3]] == [False, False, True]
    scores = [s["answer_log_probability"] for s in tested[:3]]
    assert scores == pytest.approx([-0.2, -0.3, -0.1])
    swept = [(s["layer"], s["prediction"], s["correct"]) for s in samples if s["split"] == "dev"]
    assert swept == [(1, "10", True), (3, "40", False), (1, "30", False), (3, "12", True)]


def test_the_share_recovered_is_null_where_nothing_was_learned() -> None:
    def result(hypothesis: float, regular: float) -> dict[str, Any]:
        values = {"baseline": 0.0, "hypothesis": hypothesis, "regular": regular}
        cells = {method: {"accuracy": value} for method, value in values.items()}
        return {"task": f"{hypothesis}", "seed": 41, **cells}

    assert summary([result(0.4, 0.5), result(0.2, 1.0)])["recovered"] == pytest.approx(0.4)
    assert summary([result(0.4, 0.0)])["recovered"] is None
    assert summary([]) == dict.fromkeys(["baseline", "hypothesis", "regular", "recovered"])
