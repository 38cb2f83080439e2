import json

from icl_vectors.tasks.task import known_tasks, list_tasks
from tests.cli.conftest import Command


def test_all_tasks_are_listed_with_their_category_and_size(command: Command) -> None:
    code, out, err = command("tasks")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[1] for line in lines] == list(known_tasks())
    assert all(" pairs  " in line for line in lines)


def test_one_task_is_shown_with_source_licence_and_pairs(command: Command) -> None:
    code, out, _ = command("tasks", "country_capital")
    assert code == 0
    assert "\nsource: " in out and "\nlicence: " in out
    assert "  France → Paris\n" in out


def test_tasks_are_one_json_document(command: Command) -> None:
    listed = json.loads(command("tasks", "--json").out)
    assert [task["name"] for task in listed] == list(known_tasks())
    assert known_tasks()[:18] == list_tasks()
    shown = json.loads(command("tasks", "to_upper", "--json").out)
    assert shown["n_pairs"] == len(shown["pairs"]) == 26
    assert shown["pairs"][0] == {"input": "a", "output": ["A"]}
