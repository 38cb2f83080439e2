"""The likeliest label against plain hooks, on five families; labels share first tokens or not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.compare.prompts import variant
from icl_vectors.graph.task import run_task
from icl_vectors.methods.registry import METHODS
from icl_vectors.methods.session import run_method
from icl_vectors.prompts.batches import Way, make_batches
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.labels import Labels, require_labels
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import Task, load_task
from tests.method_batches import batches_of
from tests.method_twins import DEV, SETTINGS, TEST, TWINS, encode
from tests.tiny import N_LAYERS, Tiny
from tests.twins import plain
from tests.twins.prompts import dummy_ids, query_ids, regular_ids

LAYERS = [0, 2, 3]
ALL_SHARE = ("w310_w320", "w310_w321", "w310_w322_w323", "w310_w322_w324")
SOME_SHARE = ("w310_w320", "w310_w321", "w311", "w312")
EVERY_SET = pytest.mark.parametrize("names", [ALL_SHARE, SOME_SHARE], ids=["all", "some"])


def labels_for(tiny: Tiny, names: Sequence[str]) -> Labels:
    """A task of these labels; the queries are those of the twins."""
    task = Task.from_pairs("labels", {f"in {name}": name for name in names})
    return Labels.make(tiny.tokenizer, Template(), task, [*encode(tiny, DEV), *encode(tiny, TEST)])


def given(labels: Labels, prompts: list[EncodedPrompt]) -> list[EncodedPrompt]:
    """Prompts whose right answers are labels in turn."""
    count = len(labels.tokens)
    return [
        replace(one, first=one.accepted, accepted=(row % count,)) for row, one in enumerate(prompts)
    ]


def plainly(tiny: Tiny, ids: Sequence[int]) -> Callable[..., Tensor]:
    """The logits of a prompt without any injection."""
    return lambda after=(): plain.logits(tiny.plain, [*ids, *after])


def expected(labels: Labels, put_in: Callable[..., Tensor], *choice: Any) -> int:
    """The likeliest label, from the logits after the arrow and any tokens behind it."""

    def logits(after: Sequence[int]) -> Tensor:
        return put_in(*choice, after=after)

    firsts = [float(logits(()).log_softmax(-1)[own[0]]) for own in labels.tokens]
    rest = [
        sum(float(logits(own[:k]).log_softmax(-1)[own[k]]) for k in range(1, len(own)))
        for own in labels.tokens
    ]
    best = max(firsts)
    among = [index for index, score in enumerate(firsts) if score == best]
    return max(among, key=lambda index: rest[index])


@EVERY_SET
def test_the_sweep_answers_with_plain_pytorch_s_label(tiny: Tiny, names: Sequence[str]) -> None:
    labels, model = labels_for(tiny, names), tiny.model
    dev, test = given(labels, encode(tiny, DEV)), given(labels, encode(tiny, TEST))
    on_dev = make_batches(dev, 3, model.way, with_query=False)
    on_test = make_batches(test, 2, model.way)
    labels.add(on_dev, dev, model.way, with_query=False)
    labels.add(on_test, test, model.way)
    found = run_task(model, on_dev, on_test, range(N_LAYERS))

    for row, prompt in enumerate(DEV):
        _, put_in = TWINS["state"](tiny, prompt)
        swept = [expected(labels, put_in, layer) for layer in range(N_LAYERS)]
        assert found["dev_swept"][row].tolist() == swept
        own = [expected(labels, plainly(tiny, ids)) for ids in dummy_ids(tiny.tokenizer, prompt)]
        assert found["dev_own"][row].tolist() == own
    hits = [
        sum(row % len(names) == answer for row, answer in enumerate(column))
        for column in found["dev_swept"].T.tolist()
    ]
    assert found["best"] == hits.index(max(hits))
    for row, prompt in enumerate(TEST):
        _, put_in = TWINS["state"](tiny, prompt)
        query, regular = query_ids(tiny.tokenizer, prompt), regular_ids(tiny.tokenizer, prompt)
        with_theta = expected(labels, put_in, found["best"])
        assert found["test_answers"][row].tolist() == [
            expected(labels, plainly(tiny, query)),
            with_theta,
        ]
        assert int(found["test_own"][row, 0]) == expected(labels, plainly(tiny, regular))
        assert found["test_first"][row].tolist() == [
            plain.next_token(tiny.plain, regular),
            plain.next_token(tiny.plain, query),
            int(put_in(found["best"]).argmax()),
        ]


@pytest.mark.parametrize("tiny", ["gemma3"], indirect=True)  # the sweep above: all families
@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_answers_with_the_label_of_plain_pytorch(tiny: Tiny, name: str) -> None:
    labels, method = labels_for(tiny, ALL_SHARE), METHODS[name]
    dev, test = given(labels, encode(tiny, DEV)), given(labels, encode(tiny, TEST))
    batches = batches_of(tiny.model, method, dev, test, labels)
    groups = method.candidates(LAYERS, SETTINGS)
    found = run_method(tiny.model, method, SETTINGS, batches, groups, [variant()])
    candidates = [candidate for group in groups for candidate in group]
    with torch.no_grad():
        for row, prompt in enumerate(DEV[-len(found["dev"]) :]):
            _, put_in = TWINS[name](tiny, prompt)
            answers = [expected(labels, put_in, *one) for one in candidates]
            assert found["dev"][row].tolist() == answers
        for row, prompt in enumerate(TEST):
            _, put_in = TWINS[name](tiny, prompt)
            chosen = candidates[found["chosen"]]
            ids = regular_ids(tiny.tokenizer, prompt)
            answer = expected(labels, put_in, *chosen)
            regular = expected(labels, plainly(tiny, ids))
            assert int(found["measured"][1][0][row]) == answer
            assert int(found["measured"][1][5][row]) == int(put_in(*chosen).argmax())
            assert int(found["measured"][0][0][row]) == regular


def test_whole_prompts_give_the_same_labels_as_cached_ones(tiny: Tiny) -> None:
    labels, model = labels_for(tiny, ALL_SHARE), tiny.model
    test = given(labels, encode(tiny, TEST))
    found: list[Any] = []
    for way in (model.way, Way(model.way.takes_positions, cached=False)):
        batches = make_batches(test, 2, way)
        labels.add(batches, test, way)
        found.append(run_task(model, batches, batches, [1, 3]))
    for key in ("test_own", "test_answers", "test_first", "dev_swept"):
        assert found[0][key].tolist() == found[1][key].tolist()


def test_labels_that_cannot_be_told_apart_are_refused(tiny: Tiny) -> None:
    with pytest.raises(IclVectorsError, match="'w310' and 'w310_w311'"):
        labels_for(tiny, ("w310", "w310_w311"))
    with pytest.raises(IclVectorsError, match="antonyms has "):
        require_labels([load_task("antonyms"), load_task("topic")])
    require_labels([load_task("topic"), load_task("location_religion")])
