"""What a comparison would cost, against what it did cost."""

from dataclasses import replace
from typing import Any

from icl_vectors.cost.methods import costs_of_methods
from icl_vectors.cost.prompt_sizes import sized
from icl_vectors.experiments.compare import compare
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.models.load import Model
from icl_vectors.prompts.template import Template

TASKS = ["to_upper", "letter_case_both"]
ASKED: dict[str, Any] = {"dev": 3, "test": 4}


def plan_of(tasks: list[str]) -> CompareConfig:
    return CompareConfig.make(tasks, **ASKED)


def prompts_of(model: Model, plan: Any) -> Any:
    """Dev and test prompts of each task."""
    return [
        tuple(sized(model.tokenizer, Template(), part) for part in plan.prompts(task))
        for task in plan.tasks
    ]


def test_the_plan_counts_what_is_run(llama: Model) -> None:
    data = compare(llama, TASKS, controls="random", **ASKED).data
    plan = plan_of(TASKS)
    costs = costs_of_methods(
        plan.model_copy(update={"controls": ("random",)}),
        prompts_of(llama, plan),
        tokenizer=llama.tokenizer,
        layers=range(4),
        n_layers=4,
        n_heads=4,
        batch_size=4,
        way=llama.way,
    )
    summary = {one["method"]: one for one in data["compare_summary"]}
    for cost in costs:
        run = summary[cost["method"]]
        assert cost["layer_tokens_choosing"] == run["layer_tokens_choosing"], cost
        assert cost["ranking"] == run["ranking"]
        assert run["layer_tokens"] <= cost["layer_tokens"] <= 1.5 * run["layer_tokens"]
    assert [cost["jobs"] for cost in costs][:3] == [2, 2, 4]


def test_the_plan_counts_whole_prompts_where_nothing_is_kept(llama: Model) -> None:
    whole = replace(llama, way=replace(llama.way, cached=False))
    results = compare(whole, TASKS, "state,icv,multi", controls="", **ASKED)
    summary = {one["method"]: one for one in results.data["compare_summary"]}
    plan = plan_of(TASKS)
    costs = costs_of_methods(
        plan.model_copy(update={"methods": ("state", "icv", "multi"), "controls": ()}),
        prompts_of(llama, plan),
        tokenizer=llama.tokenizer,
        layers=range(4),
        n_layers=4,
        n_heads=4,
        batch_size=4,
        way=whole.way,
    )
    for cost in costs:
        run = summary[cost["method"]]
        for key in ("layer_tokens", "layer_tokens_choosing"):
            assert cost[key] == run[key], (cost, run)


def test_the_plan_counts_what_is_fitted(llama: Model) -> None:
    asked: dict[str, Any] = {"dev": 6, "test": 4}
    tasks, methods = ["antonyms", "country_capital"], "learned,linear"
    config = CompareConfig.make(tasks, methods, controls="", **asked)
    for model in (llama, replace(llama, way=replace(llama.way, cached=False))):
        data = compare(model, tasks, methods, controls="", batch_size=6, **asked).data
        costs = costs_of_methods(
            config,
            prompts_of(model, config),
            tokenizer=model.tokenizer,
            layers=range(4),
            n_layers=4,
            n_heads=4,
            batch_size=6,
            way=model.way,
        )
        summary = {one["method"]: one for one in data["compare_summary"]}
        for cost in costs:
            run, keys = summary[cost["method"]], ("layer_tokens", "layer_tokens_choosing")
            assert run["layer_tokens"] <= cost["layer_tokens"] <= 2.5 * run["layer_tokens"]
            both, planned = (sum(one[key] for key in keys) for one in (run, cost))
            assert both <= planned <= 1.1 * both, cost
            if cost["method"] == "linear":
                assert cost["layer_tokens_choosing"] == run["layer_tokens_choosing"]
