"""A folder of task vectors that others can use: the files, and a card that says what they are."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError, RunError, first_line
from icl_vectors.plain_text import in_one_line, markdown_text
from icl_vectors.runs.files import write_whole
from icl_vectors.runs.folder import read_json
from icl_vectors.runs.schema import METHODS, faults_of
from icl_vectors.runs.validation import require_entries
from icl_vectors.vectors.vector import TaskVector

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
CARD = "README.md"


def share(
    source: str | Path | Sequence[TaskVector],
    folder: str | Path,
    *,
    push_to: str | None = None,
    private: bool = True,
) -> Path:
    """Write vectors and a card (model, tasks, accuracies, how to use) into a new folder.

    Args:
        source: a sweep's folder, whose accuracies go into the card, or vectors.
        push_to: a Hugging Face repository, "user/name"; only then anything leaves this machine,
            with the user's own login.
        private: of a repository that is made.

    Returns:
        The folder.

    Raises:
        IclVectorsError: there are no vectors, they are of several models, or the folder is not
            empty; or the push was refused.
    """
    entries: Sequence[Mapping[str, Any]] = []
    if isinstance(source, str | Path):
        vectors, entries = _of_run(Path(source))
    else:
        vectors = {_file_name(theta, number): theta for number, theta in enumerate(source)}
    vectors = {name: _without_path(theta) for name, theta in vectors.items()}
    first = _require_one_model(list(vectors.values()))
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise IclVectorsError(f"{target}: expected a new or empty folder, found files there.")
    target.mkdir(parents=True, exist_ok=True)
    for name, theta in vectors.items():
        theta.save(target / name)
    write_whole(target / CARD, _card(first, vectors, entries).encode())
    if push_to is not None:
        _push(target, push_to, private)
    return target


def _of_run(run: Path) -> tuple[dict[str, TaskVector], Sequence[Mapping[str, Any]]]:
    files = sorted((run / "vectors").glob("*.safetensors"))
    if not files or not (run / "results.json").is_file():
        raise IclVectorsError(
            f"{run}: expected a sweep's folder with results.json and vectors/, found none; "
            "run `icl-vectors sweep --output DIR` first."
        )
    path = run / "results.json"
    entries = require_entries(path, read_json(path))
    return {file.name: TaskVector.load(file) for file in files}, entries


def _without_path(theta: TaskVector) -> TaskVector:
    """The same vector, its model named as others know it: not by a folder of this machine."""
    path = Path(theta.model)
    is_path = path.is_absolute() or path.is_dir() or theta.model.startswith(("~", "."))
    if not (is_path if theta.from_folder is None else theta.from_folder):
        return theta
    return replace(theta, model=path.expanduser().resolve().name or "model", from_folder=True)


def _file_name(theta: TaskVector, number: int) -> str:
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in theta.task)
    return f"{name or 'vector'}.{number}.safetensors"


def _require_one_model(vectors: Sequence[TaskVector]) -> TaskVector:
    if not vectors:
        raise IclVectorsError("expected task vectors to share, found none.")
    if other := [one for one in vectors if one.fingerprint != vectors[0].fingerprint]:
        raise IclVectorsError(
            f"expected vectors of one model, found {vectors[0].model} and {other[0].model}; "
            "share each model's vectors in a folder of its own."
        )
    return vectors[0]


def _card(
    first: TaskVector, vectors: Mapping[str, TaskVector], entries: Sequence[Mapping[str, Any]]
) -> str:
    is_hub_id = not first.from_folder and bool(HUB_ID.fullmatch(first.model))
    name = in_one_line(first.model)
    by_unit = {(entry["task"], entry["seed"]): entry for entry in entries}
    of_files = {file: by_unit.get((one.task, one.seed)) for file, one in vectors.items()}
    file = max(vectors, key=lambda one: _accuracy(of_files[one]))  # the example that works best
    theta = vectors[file]
    middle = theta.layers[len(theta.layers) // 2]
    layer = middle if theta.best_layer is None else theta.best_layer
    lines = [
        "---",
        "library_name: icl_vectors",
        "tags: [task-vectors, in-context-learning, icl_vectors]",
        *([f"base_model: {name}"] if is_hub_id else []),
        "---",
        f"# Task vectors of {markdown_text(name)}",
        "",
        "The hidden states that the model forms at the last arrow of in-context-learning prompts "
        "(Hendel, Geva, Globerson 2023, arXiv 2310.15916). One file a vector, safetensors, "
        "`(layer, hidden)` in float32, with its description in the header.",
        "",
        f"- model: {_code(name)}, type {_code(first.model_type)}, revision "
        f"{_code(first.revision or 'none')}, fingerprint {_code(first.fingerprint)}, states in "
        f"{_code(first.dtype)}",
        f"- template: {_code(first.template)}",
        f"- made with icl_vectors {_code(first.version)}",
        "- they work in this model alone; its weights are not here and are under their own terms",
        "",
        *_table(vectors, of_files),
        "",
        "```python",
        "import icl_vectors as icl",
        "",
        f"model = icl.load_model({_quoted(name)})",
        f"theta = icl.TaskVector.load({_quoted(file)})",
        f'icl.apply(model, theta, ["a query"], layer={layer})',
        "```",
        "",
    ]
    return "\n".join(lines)


def _accuracy(entry: Mapping[str, Any] | None) -> float:
    return float(entry["hypothesis"]["accuracy"]) if entry else 0.0


def _table(
    vectors: Mapping[str, TaskVector], entries: Mapping[str, Mapping[str, Any] | None]
) -> list[str]:
    lines = [
        "| file | task | best layer | baseline | θ | in-context | n | θ does the task |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, theta in vectors.items():
        entry = entries[name]
        figures = [_with_interval(entry[m]) for m in METHODS] if entry else ["–"] * 3
        count, faults = (entry["n_test"], faults_of(entry)) if entry else ("–", ("–",))
        verdict = markdown_text("; ".join(faults) or "yes")
        task = theta.made_by if theta.made_by and not entry else theta.task or "unnamed"
        best = "–" if theta.best_layer is None else theta.best_layer
        shown = f"{_code(name)} | {markdown_text(task)} | {best}"
        lines.append(f"| {shown} | {' | '.join(figures)} | {count} | {verdict} |")
    return [
        *lines,
        "",
        "Accuracies are those of the run that made the vectors, on its n test prompts, with 95 % "
        "Wilson intervals.",
    ]


def _with_interval(found: Mapping[str, float]) -> str:
    return f"{found['accuracy']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _code(text: str) -> str:
    """Text that others wrote as a span of code that ends where it should, also in a table."""
    return f"`{in_one_line(text).replace('`', chr(39)).replace('|', '¦')}`"


def _quoted(text: str) -> str:
    """Text that others wrote as a string of Python that holds nothing else, in a fenced block."""
    return json.dumps(in_one_line(text)).replace("`", "\\x60")


def _push(folder: Path, repository: str, private: bool) -> None:
    """Upload a folder with the user's own login."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        raise RunError(
            f"push to {repository}: refused ({first_line(error, 160)}); the folder {folder} is "
            "complete, log in with `hf auth login` and push it again."
        ) from error
