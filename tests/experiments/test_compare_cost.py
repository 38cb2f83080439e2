"""What a comparison would cost, against what it did cost."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from icl_vectors.cost.methods import costs_of_methods
from icl_vectors.cost.prompt_sizes import sized
from icl_vectors.experiments.compare import compare
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.models.load import Model
from icl_vectors.prompts.template import Template

TASKS = ["to_upper", "letter_case_both"]


def whole(model: Model) -> Model:
    """The same, keeping nothing of the demonstrations."""
    return replace(model, way=replace(model.way, cached=False))


def planned_and_run(model: Model, *asked: Any, size: int = 4, **options: Any) -> Iterator[Any]:
    """Of each method what the plan says, and what was counted when it ran."""
    config = CompareConfig.make(*asked, **options)
    prompts: Any = [
        tuple(sized(model.tokenizer, Template(), part) for part in config.prompts(task))
        for task in config.tasks
    ]
    costs = costs_of_methods(
        config, prompts, tokenizer=model.tokenizer, layers=range(4), n_layers=4, n_heads=4,
        batch_size=size, way=model.way,
    )  # fmt: skip
    batches: dict[str, Any] = {"batch_size": size} if size > 4 else {}
    data = compare(model, *asked, **options, **batches).data
    summary = {one["method"]: one for one in data["compare_summary"]}
    assert [cost["jobs"] for cost in costs][:2] == [2, 2]
    return ((cost, summary[cost["method"]]) for cost in costs)


def test_the_plan_counts_what_is_run(llama: Model) -> None:
    for cost, run in planned_and_run(llama, TASKS, controls="random", dev=3, test=4):
        assert cost["layer_tokens_choosing"] == run["layer_tokens_choosing"], cost
        assert cost["ranking"] == run["ranking"]
        assert run["layer_tokens"] <= cost["layer_tokens"] <= 1.5 * run["layer_tokens"]
        assert cost["method"] != "state" or cost["jobs"] == 4


def test_the_plan_counts_whole_prompts_where_nothing_is_kept(llama: Model) -> None:
    asked: dict[str, Any] = {"controls": "", "dev": 3, "test": 4}
    for cost, run in planned_and_run(whole(llama), TASKS, "state,icv,multi", **asked):
        for key in ("layer_tokens", "layer_tokens_choosing"):
            assert cost[key] == run[key], (cost, run)


@pytest.mark.parametrize("cached", [True, False])
def test_the_plan_counts_what_is_fitted(llama: Model, cached: bool) -> None:
    asked: dict[str, Any] = {"controls": "", "dev": 6, "test": 4, "size": 6}
    tasks, model = ["antonyms", "country_capital"], llama if cached else whole(llama)
    for cost, run in planned_and_run(model, tasks, "learned,linear", **asked):
        keys = ("layer_tokens", "layer_tokens_choosing")
        assert run["layer_tokens"] <= cost["layer_tokens"] <= 2.5 * run["layer_tokens"]
        both, planned = (sum(one[key] for key in keys) for one in (run, cost))
        assert both <= planned <= 1.1 * both, cost
        if cost["method"] == "linear":
            assert cost["layer_tokens_choosing"] == run["layer_tokens_choosing"]
