import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command

BAD = {
    "an unknown task": (["--tasks", "country_capitals"], "Did you mean country_capital"),
    "an unknown category": (["--tasks", "knowledges"], "Did you mean knowledge"),
    "no task": (["--tasks", ","], "expected at least one task, found none"),
    "an unknown model": (["--model", "./no-such-model"], "expected a Hugging Face id, a folder"),
    "a folder that is no model": (["--model", "empty"], "expected config.json, found none"),
    "a file for a model": (["--model", "mine.csv"], "found a file; expected a Hugging Face id"),
    "damaged weights": (["--model", "damaged"], "cannot read its weights"),
    "a template without {input}": (["--template", "→{output}"], "expected {input} exactly once"),
    "a template without {output}": (["--template", "{input}→"], "expected {output} exactly once"),
    "a template without an arrow": (["--template", "{input} {output}"], "expected an arrow"),
    "blanks for a first token": (["--template", "{input}→    {output}"], "is blank, so it tells"),
    "more shots than pairs": (["--shots", "30"], "to_upper has 26; lower --shots or --dummies"),
    "layers out of range": (["--layers", "4"], "within 0 to 3 (the model has 4 blocks"),
    "a range out of range": (["--layers", "2:9"], "expected all, A:B[:STEP] or I,J,…"),
    "layers that are none": (["--layers", "first"], "expected all, A:B[:STEP] or I,J,…"),
    "no test prompts": (["--test", "0"], "--test 0: expected 1 or more."),
    "no dev prompts": (["--dev", "0"], "--dev 0: expected 1 or more."),
    "negative shots": (["--shots", "-1"], "--shots -1: expected 0 or more."),
    "no dummies": (["--dummies", "0"], "--dummies 0: expected 1 or more."),
    "a batch of none": (["--batch-size", "0"], "--batch-size 0: expected auto, or 1 or more."),
    "a batch that is no number": (["--batch-size", "big"], "--batch-size big: expected auto, or 1"),
    "seeds that are no numbers": (["--seeds", "1,two"], "expected whole numbers, such as 41,42"),
    "a number that is none": (["--test", "many"], "See `icl-vectors sweep --help`"),
    "an unknown option": (["--batchsize", "3"], "No such option"),
    "an unknown dtype": (["--dtype", "float23"], "unknown dtype 'float23'. Did you mean float32"),
    "an unknown dtype among others": (["--dtype", "float32,float8"], "unknown dtype 'float8'"),
    "no dtype": (["--dtype", ","], "--dtype ',': expected a dtype"),
    "several runs in the folder of one": (
        ["--dtype", "float32,bfloat16", "-o", "single"],
        "expected a folder for several runs, found that of a single one",
    ),
    "several dtypes on a server": (
        ["--dtype", "float32,nf4", "--host", "http://127.0.0.1:9"],
        "the server holds the model in a dtype of its own",
    ),
    "two quantisations": (["--load-in-4bit", "--load-in-8bit"], "expected one of them"),
    "two dtypes of one": (["--dtype", "float32", "--load-in-4bit"], "expected one of them"),
    "an unknown device": (["--device", "tpu!"], "expected cpu, cuda, cuda:N or mps"),
    "a folder of something else": (["-o", "full"], "found thesis.txt and no run.json"),
    "a file for a folder": (["-o", "mine.csv"], "cannot be made"),
    "a missing task file": (["--task-file", "none.csv"], "none.csv: cannot be read"),
    "a damaged task file": (["--task-file", "damaged.csv"], "damaged.csv, line 3: found None"),
    "a task file of a taken name": (["--task-file", "antonyms.json"], "is taken; rename the file"),
}


@pytest.fixture
def things(place: Path, llama_folder: Path) -> Path:
    (place / "empty").mkdir()
    (place / "full").mkdir()
    (place / "single").mkdir()
    (place / "single" / "run.json").write_text("{}", "utf-8")
    (place / "full" / "thesis.txt").write_text("mine", "utf-8")
    (place / "mine.csv").write_text("input,output\na,b\n", "utf-8")
    (place / "damaged.csv").write_text("input,output\na,b\nc\n", "utf-8")
    (place / "antonyms.json").write_text('{"a": "b"}', "utf-8")
    shutil.copytree(llama_folder, place / "damaged")
    (place / "damaged" / "model.safetensors").write_bytes(b"not safetensors")
    return place


def contents(folder: Path) -> dict[Path, bytes]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file: file.read_bytes() for file in files if file.name != ".lock"}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_short_message_and_exit_2_and_nothing_is_written(
    command: Command, things: Path, llama_folder: Path, name: str
) -> None:
    arguments, message = BAD[name]
    before, folders = contents(things), set(things.iterdir())
    given = arguments if "--model" in arguments else ["--model", llama_folder, *arguments]
    tasks = [] if "--tasks" in arguments else ["--tasks", "to_upper"]
    code, out, err = command("sweep", *given, *tasks, "--quiet")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ") and "Traceback" not in err
    assert len(err.splitlines()) <= 6
    assert contents(things) == before
    assert set(things.iterdir()) == folders


def test_a_folder_of_another_configuration_is_refused_by_name_of_what_differs(
    command: Command, things: Path, llama_folder: Path
) -> None:
    run = ["sweep", "--model", llama_folder, "--tasks", "to_upper", "--dev", 2, "-o", "run"]
    assert command(*run, "--test", 3, "--quiet").code == 0
    before = contents(things)
    for change, named in (
        (["--test", 4], "test: 3 → 4"),
        (["--test", 3, "--seed", 7], "seeds: [41] → [7]"),
        (["--test", 3, "--dtype", "bfloat16"], "model: dtype float32 → bfloat16"),
        (["--test", 3, "--template", "paper"], "template: "),
    ):
        code, out, err = command(*run, *change, "--quiet")
        assert (code, out) == (2, "")
        assert "holds a run of another configuration" in err and named in err
    assert contents(things) == before
