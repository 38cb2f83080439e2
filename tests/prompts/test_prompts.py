import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import asdict

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.sampling import Prompt, has_few_labels, require_pairs, sample_prompts
from icl_vectors.tasks.task import Task, list_tasks, load_task

OF_18_TASKS = "929e5e2ec617a1ef972901266d8cda7aecbcc7f674886cd9f95d4aa263c55dd2"
PRINT_DIGEST = """
import hashlib
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.tasks.task import load_task
for name in ("country_capital", "list_last"):
    print(hashlib.sha256(repr(sample_prompts(load_task(name), seed=7)).encode()).hexdigest())
"""


def digest(name: str) -> str:
    prompts = sample_prompts(load_task(name), seed=7)
    return hashlib.sha256(repr(prompts).encode()).hexdigest()


def queries(prompts: list[Prompt]) -> list[str]:
    return [prompt.query for prompt in prompts]


@pytest.mark.parametrize("name", list_tasks())
def test_prompts_are_of_their_task_and_disjoint(name: str) -> None:
    task = load_task(name)
    dev, test = sample_prompts(task)
    assert len(dev) == len(test) == 50
    for prompt in [*dev, *test]:
        shown = [input for input, _ in prompt.demonstrations]
        everything = [*shown, *prompt.dummies, prompt.query]
        assert len(shown) == 5 and len(prompt.dummies) == 2
        assert len(set(everything)) == len(everything)
        assert prompt.answers == task.answers[prompt.query]
        assert all(task.answers[x][0] == y for x, y in prompt.demonstrations)
    assert len(set(queries(test))) == min(50, len(task.pairs))
    assert set(queries(dev)).isdisjoint(queries(test)) is (len(task.pairs) >= 100)


def test_queries_repeat_only_when_all_have_been_used() -> None:
    dev, test = sample_prompts(load_task("next_letter"), dev=30, test=30)
    drawn = queries(test) + queries(dev)
    assert set(drawn[:25]) == set(drawn[25:50]) == set(load_task("next_letter").inputs)


def test_the_same_seed_gives_the_same_prompts_whatever_the_hash_order() -> None:
    for hash_seed in ("0", "12345"):
        seeded = {"PYTHONHASHSEED": hash_seed}
        program = [sys.executable, "-c", PRINT_DIGEST]
        done = subprocess.run(program, env=seeded, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [digest("country_capital"), digest("list_last")]


def test_prompts_stay_what_they_were() -> None:
    prompt = sample_prompts(load_task("to_upper"), seed=41)[1][0]
    assert prompt.id == "to_upper-41-test-0000"
    again = sample_prompts(Task("to_upper", tuple(reversed(load_task("to_upper").pairs))))[1][0]
    assert asdict(again) == asdict(prompt), "the order of the pairs in the file plays no part"


def test_prompts_of_the_18_tasks_stay_what_they_were_before_labels_were_drawn_evenly() -> None:
    found = hashlib.sha256()
    for name in list_tasks():
        assert not has_few_labels(load_task(name))
        for seed in (41, 7):
            drawn = repr(sample_prompts(load_task(name), seed=seed))
            found.update(drawn.replace(", instruction=''", "").encode())  # a field of later
    assert found.hexdigest() == OF_18_TASKS


def labelled(n_labels: int, each: int, name: str = "own") -> Task:
    return Task.from_pairs(name, {f"{i}": f"label {i % n_labels}" for i in range(n_labels * each)})


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (labelled(2, 10), True),
        (labelled(20, 2), True),
        (labelled(21, 2), False),
        (labelled(8, 1), False),
        (labelled(1, 20), False),
        (labelled(7, 10, "location_religion"), False),
        (load_task("location_religion"), False),
        (load_task("topic"), True),
    ],
)
def test_few_labels_are_2_to_20_outside_the_18_tasks(task: Task, expected: bool) -> None:
    assert has_few_labels(task) is expected


@pytest.mark.parametrize(("n_labels", "shots", "dummies"), [(2, 5, 2), (4, 5, 2), (6, 8, 8)])
def test_few_labels_are_shown_evenly(n_labels: int, shots: int, dummies: int) -> None:
    task = labelled(n_labels, 10)
    odd_ones, orders = set(), set()
    dev, test = sample_prompts(task, shots=shots, dummies=dummies)
    for prompt in [*dev, *test]:
        shown = [label for _, label in prompt.demonstrations]
        counts = Counter({label: shown.count(label) for label in task.labels})
        assert len(shown) == shots and max(counts.values()) - min(counts.values()) <= 1
        of_dummies = [task.answers[dummy][0] for dummy in prompt.dummies]
        assert len(of_dummies) == dummies
        assert len(set(of_dummies)) == min(dummies, n_labels)
        everything = [*(text for text, _ in prompt.demonstrations), *prompt.dummies, prompt.query]
        assert len(set(everything)) == shots + dummies + 1
        odd_ones |= {label for label in counts if counts[label] == max(counts.values())}
        orders.add(tuple(shown))
    assert odd_ones == set(task.labels), "no label has the odd demonstration always"
    assert len(orders) > 10, "labels come in any order"


def test_an_unbalanced_draw_keeps_queries_and_dummies_apart() -> None:
    task = labelled(2, 40)
    even, plain = (sample_prompts(task, unbalanced=flag)[1] for flag in (False, True))
    assert queries(even) == queries(plain)
    shown = [[label for _, label in one.demonstrations] for one in plain]
    assert {labels.count("label 0") for labels in shown} >= {1, 2, 3, 4}
    assert all(
        {task.answers[dummy] for dummy in one.dummies} == {("label 0",), ("label 1",)}
        for one in plain
    )


def test_rare_labels_and_the_last_pairs_are_drawn_too() -> None:
    pairs = {**{str(i): "common" for i in range(7)}, "x": "rare"}
    for prompt in sample_prompts(Task.from_pairs("rare", pairs))[1]:
        shown = [text for text, _ in prompt.demonstrations]
        assert {*shown, *prompt.dummies, prompt.query} == set(pairs)
        assert "x" in {*prompt.dummies, prompt.query}


def test_another_seed_or_task_gives_other_prompts_and_more_of_them_the_same_first() -> None:
    task = load_task("country_capital")
    renamed = Task("renamed", task.pairs)
    assert queries(sample_prompts(task, seed=1)[1]) != queries(sample_prompts(task, seed=2)[1])
    assert queries(sample_prompts(task)[1]) != queries(sample_prompts(renamed)[1])
    assert sample_prompts(task, test=20)[1] == sample_prompts(task, test=40)[1][:20]
    dev, test = sample_prompts(load_task("antonyms"))
    assert len({prompt.id for prompt in [*dev, *test]}) == 100


@pytest.mark.parametrize("shots", [0, 1, 8])
@pytest.mark.parametrize("dummies", [1, 5])
def test_a_prompt_has_the_shots_and_dummies_that_were_asked_for(shots: int, dummies: int) -> None:
    for prompts in sample_prompts(load_task("to_lower"), shots=shots, dummies=dummies):
        assert {len(prompt.demonstrations) for prompt in prompts} == {shots}
        assert {len(prompt.dummies) for prompt in prompts} == {dummies}


def test_a_task_with_just_enough_pairs_is_used_whole_and_one_with_fewer_refused() -> None:
    task = Task.from_pairs("small", {str(i): "x" for i in range(8)})
    for prompt in sample_prompts(task)[0]:
        shown = [input for input, _ in prompt.demonstrations]
        assert {*shown, *prompt.dummies, prompt.query} == set(task.inputs)
    small = Task.from_pairs("small", {str(i): "x" for i in range(7)})
    needs = r"a prompt needs 8 pairs \(5 demonstrations, 2 dummies, 1 for the query\)"
    with pytest.raises(IclVectorsError, match=needs) as raised:
        require_pairs([load_task("to_upper"), small], shots=5, dummies=2)
    assert "small has 7" in str(raised.value) and "to_upper" not in str(raised.value)


def test_a_bijection_needs_one_pair_more_as_the_query_s_partner_is_left_out() -> None:
    task = load_task("letter_case_both")
    most = len(task.pairs) - 2 - 2
    for prompt in sample_prompts(task, shots=most, dummies=2, dev=1, test=1)[1]:
        shown = {input for input, _ in prompt.demonstrations} | {*prompt.dummies}
        assert shown == {*task.inputs} - {prompt.query, *prompt.answers}
    with pytest.raises(IclVectorsError, match="and as many for its partner in a bijection"):
        sample_prompts(task, shots=most + 1, dummies=2)
