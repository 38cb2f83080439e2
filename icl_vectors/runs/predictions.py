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

COLUMNS = ("task", "seed", "split", "method", "layer", "query", "prompt", "answer", "prediction")


def predictions(run: Any) -> "pandas.DataFrame":
    """Every sample of a run.

    Args:
        run: what an experiment returned, or the folder of a run.

    Returns:
        One row a sample: task, seed, split, method, layer (missing but for hypothesis), query,
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
        exact, of_any_unit = _keys(line)
        prompts[exact] = line
        prompts.setdefault(of_any_unit, line)
    if missing or not samples:
        found = "; ".join(missing) or "none"
        raise IclVectorsError(f"{folder}: expected samples of a run, found {found}.")
    form = Template(read_json(folder / "run.json")["template"])
    rows = []
    for sample in samples:
        exact, of_any_unit = _keys(sample)  # `compare` keeps prompts once for all its methods
        rows.append(_row(form, sample, prompts.get(exact) or prompts.get(of_any_unit, {})))
    frame = pandas.DataFrame(rows)
    frame = frame.rename(columns={"answer_log_probability": "log_probability"})
    first = [*COLUMNS, "correct", *({"log_probability"} & {*frame})]
    others = [name for name in frame if name not in (*first, "id", "unit")]
    return frame[[*first, *others]].astype({"layer": "Int64"})


def _keys(line: dict[str, Any]) -> tuple[Any, Any]:
    return (line["id"], line.get("unit")), (line["id"], "unit" in line)


def _row(form: Template, sample: dict[str, Any], prompt: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {"query": None, "prompt": None, "answer": None}
    if prompt:
        pairs = [(input, output) for input, output in prompt["demonstrations"]]
        known = {
            "query": prompt["query"],
            "prompt": form.prompt(pairs, prompt["query"]),
            "answer": " | ".join(prompt["answers"]),
        }
    return sample | known
