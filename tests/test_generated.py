import pytest

from icl_vectors.tasks.generated import GENERATED, LISTS_OF_EACH_LENGTH
from icl_vectors.tasks.task import CATEGORIES, load_task


def pairs(name: str) -> dict[str, str]:
    return {input: outputs[0] for input, outputs in load_task(name).pairs}


def test_the_algorithmic_tasks_are_the_generated_ones() -> None:
    assert set(GENERATED) == set(CATEGORIES["algorithmic"])


def test_letters_follow_and_precede_each_other() -> None:
    following, preceding = pairs("next_letter"), pairs("prev_letter")
    assert len(following) == len(preceding) == 25
    assert all(ord(after) == ord(letter) + 1 for letter, after in following.items())
    assert {after: letter for letter, after in following.items()} == preceding


def test_upper_and_lower_case_are_inverse() -> None:
    upper = pairs("to_upper")
    assert len(upper) == 26
    assert all(letter.upper() == capital != letter for letter, capital in upper.items())
    assert {capital: letter for letter, capital in upper.items()} == pairs("to_lower")


@pytest.mark.parametrize(("name", "place"), [("list_first", 0), ("list_last", -1)])
def test_lists_hold_two_to_four_distinct_letters(name: str, place: int) -> None:
    lists = pairs(name)
    lengths = []
    for text, answer in lists.items():
        letters = text.split(",")
        assert all(len(letter) == 1 and letter.islower() for letter in letters)
        assert len(set(letters)) == len(letters)
        assert answer == letters[place]
        lengths.append(len(letters))
    assert [lengths.count(n) for n in (2, 3, 4)] == [LISTS_OF_EACH_LENGTH] * 3


def test_generated_tasks_stay_what_they_were() -> None:
    assert load_task("list_first").inputs[:3] == ("a,b", "a,c,s", "a,d")
    assert load_task("list_first").inputs == load_task("list_last").inputs
