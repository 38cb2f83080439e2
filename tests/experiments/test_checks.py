import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.conflict import shared_inputs
from icl_vectors.tasks.choose import PAPER_PAIRS, gather_tasks, parse_pairs
from icl_vectors.tasks.task import Task, list_tasks, load_task
from tests.told import told

MINE = Task.from_pairs("mine", {"a": "b"})


def names(pairs: tuple[tuple[Task, Task], ...]) -> list[tuple[str, str]]:
    return [(a.name, b.name) for a, b in pairs]


def test_pairs_are_read_in_their_order_and_once_each() -> None:
    text = " en_es : en_fr,next_letter:to_upper, en_es:en_fr,"
    assert names(parse_pairs(text)) == [("en_es", "en_fr"), ("next_letter", "to_upper")]


def test_the_papers_pairs_are_five_and_each_has_inputs_to_ask() -> None:
    pairs = parse_pairs(PAPER_PAIRS)
    assert names(pairs)[0] == ("next_letter", "to_upper")
    assert len(pairs) == 5
    assert all(len(shared_inputs(a, b)) >= 20 for a, b in pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("to_upper", "--pairs 'to_upper': expected A:B, two tasks."),
        ("to_upper:to_lower:antonyms", "expected A:B, two tasks."),
        (":to_upper", "expected A:B, two tasks."),
        ("to_upper:", "expected A:B, two tasks."),
        ("next_letter:to_upper,to_upper", "--pairs 'to_upper': expected A:B"),
        ("", "--pairs: expected A:B,…, found none."),
        (" , ,", "--pairs: expected A:B,…, found none."),
        ("to_upper:to_upper", "--pairs 'to_upper:to_upper': expected two different tasks."),
        ("to_uper:to_lower", "unknown task 'to_uper'. Did you mean to_upper"),
        ("to_lower:to_uper", "unknown task 'to_uper'. Did you mean to_upper"),
        ("algorithmic:to_upper", "unknown task 'algorithmic'"),
        ("to_upper:all", "unknown task 'all'"),
    ],
)
def test_pairs_that_are_none_are_refused(text: str, message: str) -> None:
    with told(message):
        parse_pairs(text)


def test_tasks_are_gathered_from_names_categories_and_ones_own() -> None:
    gathered = gather_tasks(["translation", MINE, "fr_en"])
    assert [task.name for task in gathered] == ["fr_en", "en_fr", "es_en", "en_es", "mine"]
    assert [task.name for task in gather_tasks("all")] == list(list_tasks())


def test_two_tasks_of_one_name_and_no_task_at_all_are_refused() -> None:
    with pytest.raises(IclVectorsError, match="two tasks are named 'mine'; rename one"):
        gather_tasks([MINE, Task.from_pairs("mine", {"a": "c"})])
    with pytest.raises(IclVectorsError, match="expected at least one task, found none"):
        gather_tasks([])
    assert gather_tasks([MINE, MINE]) == (MINE,)


def test_shared_inputs_are_those_that_are_answered_differently() -> None:
    a = Task.from_pairs("a", {"x": "1", "y": ("2", "Two"), "z": "3", "only": "4"})
    b = Task.from_pairs("b", {"z": "33", "y": ("two", "zwei"), "x": "11", "other": "4"})
    assert shared_inputs(a, b) == ["x", "z"]


def test_tasks_that_share_no_input_or_answer_all_alike_are_refused() -> None:
    with pytest.raises(IclVectorsError) as raised:
        shared_inputs(load_task("country_capital"), load_task("to_upper"))
    assert "--pairs country_capital:to_upper: expected inputs" in str(raised.value)
    assert "found 0 in common and none such" in str(raised.value)
    same = Task.from_pairs("same", {"x": "1", "y": "Two"})
    alike = Task.from_pairs("alike", {"x": ("0", "1"), "y": "two"})
    with pytest.raises(IclVectorsError, match="found 2 in common and none such"):
        shared_inputs(same, alike)
