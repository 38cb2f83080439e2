"""The options that several commands share, with one wording for each.

An option is named for its parameter, but for flags, whose contrary (--no-…) is not wanted.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

MODEL = Option("--model", help="Hugging Face id, local folder, or gemma-3-270m, smollm2-135m.")
Models = Annotated[list[str], MODEL]
OneModel = Annotated[str, MODEL]
Dtypes = Annotated[
    str, Option(help="auto, float32, bfloat16, float16, int8, nf4, fp4; or several.")
]
In4Bit = Annotated[bool, Option("--load-in-4bit", help="The same as --dtype nf4.")]
In8Bit = Annotated[bool, Option("--load-in-8bit", help="The same as --dtype int8.")]
Device = Annotated[str | None, Option(help="cpu, cuda, cuda:N or mps.")]
DeviceMap = Annotated[str | None, Option(help="accelerate's map, such as auto.")]
Revision = Annotated[str | None, Option(help="Branch, tag or commit.")]
Remote = Annotated[
    bool, Option("--remote", help="Run on NDIF, on a model that it serves (NDIF_API_KEY).")
]
Host = Annotated[str | None, Option(help="Another NDIF server's address; implies --remote.")]
InFlight = Annotated[int, Option(help="With --remote: jobs on the server at once, 1 to 32.")]
TrustRemoteCode = Annotated[
    bool, Option("--trust-remote-code", help="Run code that comes with the checkpoint.")
]
Tasks = Annotated[
    list[str] | None, Option(help="Names, comma-separated, or a category, or all (the default).")
]
TaskFiles = Annotated[
    list[Path] | None, Option(help="Your own task: JSON, JSONL, CSV or TSV. Repeatable.")
]
StrictTasks = Annotated[
    bool, Option("--strict-tasks", help="Refuse task files that give an input different outputs.")
]
Shots = Annotated[int, Option(help="Demonstrations in a prompt.")]
Dummies = Annotated[int, Option(help="Dummy queries that θ is averaged over.")]
Seed = Annotated[int, Option(help="Seed of prompts and demonstrations.")]
TemplateText = Annotated[
    str, Option(help=r"A text with {input} and {output} (\n: newline, \t: tab), or: paper.")
]
Output = Annotated[
    Path | None, Option("--output", "-o", help="The run's folder; the same again resumes.")
]
Json = Annotated[bool, Option("--json", help="One JSON document on stdout.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No progress.")]
