"""`icl-vectors check`: the one-line tests on the user's own model."""

from typing import TYPE_CHECKING

from icl_vectors.cli import options
from icl_vectors.cli.model_options import AS_USUAL, ModelOptions, expands_options
from icl_vectors.cli.terminal import printable, show, show_documents
from icl_vectors.errors import RunError
from icl_vectors.prompts.template import load_template

if TYPE_CHECKING:
    from icl_vectors.engine.check import Checks


@expands_options
def check(
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    template: options.TemplateText = "{input}→{output}",
    model_options: ModelOptions = AS_USUAL,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Test that a model's results are valid, in seconds.

    A block's own state put back changes nothing; θ changes the logits; batched equals single;
    cached equals uncached. Exit 1 where one fails. A run on this machine does so first, at three
    blocks; a run on a server does not, as it would be one more job: this command is that job.

    Example: icl-vectors check --model ./my-model --dtype float32,bfloat16
    """
    load_template(template)
    dtypes = model_options.dtypes_of_runs
    from icl_vectors.engine.check import check as run_check
    from icl_vectors.models.memory import release

    found: list[Checks] = []
    for reference in model:
        for dtype in dtypes:
            opened = model_options.open(reference, dtype, quiet or json)
            found.append(run_check(opened, template=template))
            del opened
            release()
            if not json:
                show(_lines(found[-1]))
    if json:
        show_documents([one.to_json() for one in found])
    failed = [one for one in found if not one.passed]
    try:
        for one in failed:
            one.require()  # the first is raised
    except RunError as error:
        if len(failed) == 1:
            raise
        raise RunError(f"{error} {len(failed) - 1} more failed.") from error


def _lines(found: "Checks") -> str:
    model = printable(found.model)
    lines = [f"{model}, {found.dtype}: differences as shares of the logits' spread"]
    for one in found.checks:
        side = "more than" if one.bound_is_least else "at most"
        measured = f"{one.measured:.2g} ({side} {one.bound:.2g})"
        mark = "ok    " if one.passed else "FAILED"
        lines.append(f"{mark}  {one.name:<46}{measured:<26}{one.remark}")
    return "\n".join(lines)
