"""A user's script that uses every public name; mypy checks it strictly, nothing runs it."""

from dataclasses import replace
from pathlib import Path

import pandas
from torch import Tensor

import icl_vectors as icl
from icl_vectors import (
    Answers,
    Check,
    Checks,
    IclVectorsError,
    Method,
    Model,
    Results,
    Task,
    TaskVector,
    __version__,
    apply,
    apply_by_layer,
    check,
    cluster,
    compare,
    conflict,
    extract,
    list_tasks,
    load_model,
    load_task,
    predictions,
    register_method,
    share,
    sweep,
    vocabulary,
    words,
)
from icl_vectors.methods.state import STATE


def everything(folder: Path, frame: pandas.DataFrame) -> None:
    model: Model = load_model("gemma-3-270m", dtype="auto", remote=False)
    found_out: Checks = check(model, template="paper")
    first: Check = found_out.checks[0]
    if not found_out.passed and first.measured > first.bound:
        found_out.require()
    names: tuple[str, ...] = list_tasks()
    task: Task = load_task(names[0])
    own = [
        Task.from_pairs("a", {"x": "y"}),
        Task.from_pairs("b", [("x", ["y", "z"])]),
        Task.from_frame("c", frame),
        Task.from_file(folder / "d.csv"),
    ]
    theta: TaskVector = extract(model, {"France": "Paris"}, dummies=["Kenya"])
    other: TaskVector = extract(model, task, prompts=3, layers="9:12", seed=7)
    made: TaskVector = TaskVector.mean([theta, other]) + 0.5 * (theta - other)
    cosines: Tensor = theta.cosine(made)
    norms: list[float] = theta.norms()
    kept: Path = made.save(folder / "made.safetensors")
    written: tuple[int, ...] = TaskVector.load(kept).export_gguf(folder / "made.gguf", layers=[9])

    texts: list[str] = apply(model, theta, ["Spain"], layer=10)
    baseline: list[str] = apply(model, None, "Spain")
    more: Answers = apply(model, theta, ["Spain"], layer=[9, 10], mode="add", scale=2, top_k=5)
    logits: Tensor | None = apply(model, theta, ["Spain"], layer=10, return_logits=True).logits

    by_layer: pandas.DataFrame = apply_by_layer(model, theta, ["Spain"], mode="add", top_k=10)
    in_words: pandas.DataFrame = words(model, theta, ["Spain"], layers=[10], top_k=5)
    results: Results = sweep(model, [task, *own], output=folder, answer="generate")
    table: pandas.DataFrame = results.to_pandas()
    every: pandas.DataFrame = predictions(results)
    pairs: Results = conflict(model, "to_upper:next_letter", output=folder)
    beside: Results = compare(model, "all", "state,function", "random", output=folder)
    function: TaskVector = extract(model, task, prompts=25, method="function")
    found: Results = cluster(model, output=folder)
    said: Results = vocabulary(model, output=folder)
    mine: Method = register_method(replace(STATE, name="mine"))
    shared: Path = share(folder, folder / "shared", push_to=None)
    try:
        load_task("none")
    except IclVectorsError as error:
        print(error, __version__, icl.__doc__)
    print(cosines, norms, written, texts, baseline, more.top, logits, table, pairs, found, said)
    print(beside, function.method, by_layer, every, in_words)
    print(shared, mine.name)
