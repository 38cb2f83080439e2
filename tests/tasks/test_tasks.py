from pathlib import Path

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.tasks.task import CATEGORIES, Task, list_tasks, load_task, select_tasks
from tests.told import told

CONTRACT = (
    "next_letter prev_letter list_first list_last to_upper to_lower fr_en en_fr es_en en_es "
    "present_simple_gerund present_simple_past_simple plural_singular antonyms "
    "country_capital person_language location_continent location_religion"
).split()


def names(tasks: tuple[Task, ...]) -> list[str]:
    return [task.name for task in tasks]


def test_the_eighteen_tasks_are_those_of_the_paper() -> None:
    assert list(list_tasks()) == CONTRACT


@pytest.mark.parametrize("name", CONTRACT)
def test_every_task_says_what_it_is(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert name in CATEGORIES[task.category]
    assert task.version >= 1 and task.description and task.source and task.licence
    assert len(task.pairs) >= 25


def test_an_unknown_task_is_refused_and_the_nearest_name_comes_first() -> None:
    with told("unknown task 'country_capitals'. Did you mean country_capital", *CONTRACT):
        load_task("country_capitals")
    with pytest.raises(IclVectorsError, match=r"Did you mean linguistic.*all, "):
        select_tasks("linguistics")


def test_names_categories_and_all_are_selected_once_each() -> None:
    assert names(select_tasks("all")) == CONTRACT
    assert names(select_tasks("knowledge")) == list(CATEGORIES["knowledge"])
    others = [name for name in CATEGORIES["algorithmic"] if name != "to_upper"]
    assert names(select_tasks(" to_upper , algorithmic,to_upper")) == ["to_upper", *others]


@pytest.mark.parametrize("text", ["", " , ", ","])
def test_no_task_at_all_is_refused(text: str) -> None:
    with pytest.raises(IclVectorsError, match="expected at least one task, found none"):
        select_tasks(text)


def test_a_task_file_comes_after_the_named_tasks_under_its_stem(tmp_path: Path) -> None:
    file = tmp_path / "colours.json"
    file.write_text('{"Apple": "Red", "Lime": ["Green", "lime green"]}', "utf-8")
    found = select_tasks("to_upper", [file])
    assert names(found) == ["to_upper", "colours"]
    assert found[1].answers == {"Apple": ("Red",), "Lime": ("Green", "lime green")}
    assert found[1].category == "user"
    assert names(select_tasks("", [file])) == ["colours"]


def test_a_task_file_is_chosen_by_its_name(tmp_path: Path) -> None:
    files = [tmp_path / "words.json", tmp_path / "sounds.json"]
    for file in files:
        file.write_text('{"a": "b"}', "utf-8")
    assert names(select_tasks("words,to_upper", files)) == ["words", "to_upper", "sounds"]
    with pytest.raises(IclVectorsError, match=r"unknown task 'word'\. Did you mean words.* sounds"):
        select_tasks("word", files)
    with pytest.raises(IclVectorsError, match="the name 'words' is taken"):
        select_tasks("", [files[0], files[0]])


@pytest.mark.parametrize("name", ["all", "knowledge", "bijection", "antonyms"])
def test_a_task_file_may_not_have_the_name_of_a_category_or_task(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.json").write_text('{"a": "b"}', "utf-8")
    with pytest.raises(IclVectorsError, match=f"the name '{name}' is taken; rename the file"):
        select_tasks("", [tmp_path / f"{name}.json"])


def test_repeated_inputs_are_merged_and_blanks_are_cut_off() -> None:
    task = Task.from_pairs("mine", [(" a ", "x"), ("a", ["y", "x "]), ("b", "z")])
    assert task.pairs == (("a", ("x", "y")), ("b", ("z",)))
    assert task.demonstration("a") == ("a", "x")


@pytest.mark.parametrize("pair", [("", "x"), (" ", "x"), ("a", ""), ("a", []), ("a", ["x", " "])])
def test_a_blank_input_or_output_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(IclVectorsError, match="task 'mine': expected .* not blank, found"):
        Task.from_pairs("mine", [pair])


def test_a_task_without_pairs_is_refused() -> None:
    with pytest.raises(IclVectorsError, match="task 'mine': expected pairs, found none"):
        Task.from_pairs("mine", {})


def test_the_fingerprint_belongs_to_name_and_pairs_alone() -> None:
    task = Task("mine", (("a", ("b",)),))
    assert task.fingerprint == Task("mine", (("a", ("b",)),), description="other").fingerprint
    assert task.fingerprint != Task("other", task.pairs).fingerprint
    assert task.fingerprint != Task("mine", (("a", ("c",)),)).fingerprint
