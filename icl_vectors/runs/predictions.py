"""`predictions`: every answer of a run, beside its prompt, as a data frame."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.template import Template
from icl_vectors.runs.lines import read_objects
from icl_vectors.runs.reading import find_runs
from icl_vectors.runs.recovery import read_json

if TYPE_CHECKING:
    import pandas

PROMPT = ("query", "dummies", "prompt", "answer")
COLUMNS = ("task", "seed", "split", "id", "method", "layer", *PROMPT, "prediction", "correct")


def predictions(run: Any) -> "pandas.DataFrame":
    """Every sample of a run.

    Args:
        run: what an experiment returned, or the folder of a run.

    Returns:
        One row a sample: task, seed, split, id (of the prompt, the same for all methods), method,
        layer (missing but for hypothesis), query, dummies (whose states make θ; joined by " | "),
        prompt (demonstrations and query: what regular in-context learning reads; the other methods
        of a sweep read its last line alone), answer (the accepted ones, joined by " | "),
        prediction, correct, log_probability (of the likeliest accepted answer's first token; on
        test), and whatever else the experiment measured of each.

    Raises:
        IclVectorsError: it has no folder, or no samples, as `cluster` and `vocabulary` have none.
    """
    import pandas

    folder = getattr(run, "folder", run)
    if folder is None:
        raise IclVectorsError("predictions: expected a run that was kept; give it output=FOLDER.")
    folder = Path(folder)
    if folder not in find_runs(folder):
        raise IclVectorsError(f"{folder}: expected the folder of one run, found one of several.")
    missing: list[str] = []
    samples = read_objects(folder / "samples.jsonl", missing)
    prompts: dict[Any, dict[str, Any]] = {}
    for line in read_objects(folder / "prompts.jsonl", missing):
        prompts |= {key: line for key in _keys(line) if key not in prompts}
    if missing or not samples:
        found = "; ".join(missing) or "none"
        raise IclVectorsError(f"{folder}: expected samples of a run, found {found}.")
    run = read_json(folder / "run.json")
    form = Template.of_run(run)
    known = [next(filter(None, map(prompts.get, _keys(sample))), {}) for sample in samples]
    frame = pandas.DataFrame(
        [one | _described(form, prompt) for one, prompt in zip(samples, known, strict=True)]
    )
    frame = frame.rename(columns={"answer_log_probability": "log_probability"})
    first = [*COLUMNS, *({"log_probability"} & {*frame})]
    others = [name for name in frame if name not in (*first, "unit")]
    return frame[[*first, *others]].astype({"layer": "Int64"})


def _keys(line: dict[str, Any]) -> tuple[Any, Any]:
    """Of the line's own unit, then of any: `compare` keeps prompts once for all its methods."""
    return (line["id"], line.get("unit")), (line["id"], "unit" in line)


def _described(form: Template, prompt: dict[str, Any]) -> dict[str, Any]:
    if not prompt:
        return dict.fromkeys(PROMPT)
    pairs = [(input, output) for input, output in prompt["demonstrations"]]
    text = form.prompt(pairs, prompt["query"])
    answer, dummies = (" | ".join(prompt.get(key, ())) for key in ("answers", "dummies"))
    return {"query": prompt["query"], "dummies": dummies, "prompt": text, "answer": answer}
