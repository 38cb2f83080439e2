"""The options that several commands share, with one wording for each."""

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[
    list[str],
    typer.Option("--model", help="Hugging Face id, local folder, or gemma-3-270m, smollm2-135m."),
]
OneModel = Annotated[
    str,
    typer.Option("--model", help="Hugging Face id, local folder, or gemma-3-270m, smollm2-135m."),
]
Dtypes = Annotated[
    str,
    typer.Option("--dtype", help="auto, float32, bfloat16, float16, int8, nf4, fp4; or several."),
]
In4Bit = Annotated[bool, typer.Option("--load-in-4bit", help="The same as --dtype nf4.")]
In8Bit = Annotated[bool, typer.Option("--load-in-8bit", help="The same as --dtype int8.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:N or mps.")]
DeviceMap = Annotated[
    str | None, typer.Option("--device-map", help="accelerate's map, such as auto.")
]
Revision = Annotated[str | None, typer.Option("--revision", help="Branch, tag or commit.")]
Remote = Annotated[
    bool, typer.Option("--remote", help="Run on NDIF, on a model that it serves (NDIF_API_KEY).")
]
Host = Annotated[
    str | None, typer.Option("--host", help="Another NDIF server's address; implies --remote.")
]
InFlight = Annotated[
    int, typer.Option("--in-flight", help="With --remote: jobs on the server at once, 1 to 32.")
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the checkpoint.")
]
Tasks = Annotated[
    list[str] | None,
    typer.Option("--tasks", help="Names, comma-separated, or a category, or all (the default)."),
]
TaskFiles = Annotated[
    list[Path] | None,
    typer.Option("--task-file", help="Your own task: JSON, JSONL, CSV or TSV. Repeatable."),
]
StrictTasks = Annotated[
    bool,
    typer.Option("--strict-tasks", help="Refuse task files that give an input different outputs."),
]
Shots = Annotated[int, typer.Option("--shots", help="Demonstrations in a prompt.")]
Dummies = Annotated[int, typer.Option("--dummies", help="Dummy queries that θ is averaged over.")]
Test = Annotated[int, typer.Option("--test", help="Test prompts per task.")]
Dev = Annotated[int, typer.Option("--dev", help="Dev prompts per task (they choose the layer).")]
Layers = Annotated[
    str, typer.Option("--layers", help="Candidates: all, A:B[:STEP] as in Python, or I,J,…")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of prompts and demonstrations.")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="Several seeds: 41,42,…")]
TemplateText = Annotated[
    str,
    typer.Option(
        "--template",
        help=r"A text with {input} and {output} (\n: newline, \t: tab), or: paper.",
    ),
]
BatchSize = Annotated[
    str, typer.Option("--batch-size", help="Prompts at once; auto: from free memory.")
]
Answer = Annotated[
    str, typer.Option("--answer", help="What is compared: first-token, or generate (whole answers)")
]
ChooseLayer = Annotated[
    str,
    typer.Option(
        "--choose-layer",
        help="The layer by dev accuracy, or by apart: where no dummy gives the answer.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The run's folder; the same again resumes.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
