import shutil
from pathlib import Path

import pytest

import icl_vectors as icl
from icl_vectors.models import Model, load_model
from tests.cli import bad_things
from tests.cli.conftest import Command

SWEEP = ["sweep", "--quiet", "--dev", "2", "--test", "2"]
TASK = [*SWEEP, "--model", "tiny", "--task-file"]
MODEL = [*SWEEP, "--tasks", "to_upper", "--model"]
RUN = [*SWEEP, "--tasks", "to_upper", "--model", "tiny", "-o"]
APPLY = ["apply", "--quiet"]
COMPARE = ["compare", *RUN[1:], "new", "--methods", "function", "--heads"]
EXTRACT = ["extract", "--quiet", "--model", "tiny", "-o", "new", "--task", "to_upper"]
HEADS = "expected the heads.json of a comparison with this model, found "
FORMS = 'expected JSON {"input": "output", …}'
NAME = "a name that can be that of a file"

TASKS = {
    "a name that is taken": ("antonyms.json", "is taken; rename the file"),
    "no such file": ("none.csv", "none.csv: cannot be read (No such file or directory); give"),
    "a folder": ("tiny", "tiny: cannot be read (Is a directory); give"),
    "nothing": ("nothing.csv", FORMS),
    "a header alone": ("header.csv", "found no pairs; expected JSON"),
    "other columns": ("no_columns.csv", "line 1: found the columns question, answer; expected"),
    "a column twice": ("twice.csv", "found a column twice among input, output, input"),
    "too many cells": (
        "cells.csv",
        "line 2: found more cells than columns ('c'); quote the commas",
    ),
    "too few cells": ("short_row.csv", "line 3: found None where text that is not blank should be"),
    "an open quote": ("open_quote.tsv", FORMS),
    "a blank output": ("blank.csv", "line 2: found '' where text that is not blank should be"),
    "another encoding": ("latin.csv", "line 2: found bytes that are not UTF-8"),
    "zeros": ("zeros.csv", FORMS),
    "a newline in an answer": ("newline.json", "found a newline or control character, in"),
    "an escape sequence": ("escape.json", r"in 'a\x1b[31m'"),
    "half a character": ("surrogate.json", "half of a surrogate pair, which is not Unicode text"),
    "broken JSON": ("broken.json", "line 1: found broken JSON"),
    "NaN": ("nan.json", "found nan where text that is not blank should be"),
    "infinity": ("infinity.json", "found inf where text that is not blank should be"),
    "a number of 5,000 digits": ("huge.json", FORMS),
    "JSON of 100,000 lists": ("deep.json", FORMS),
    "a number for a task": ("number.json", "found JSON of type int"),
    "null for an answer": ("null.json", "found None where text"),
    "an object for an answer": ("nested.json", "found {'b': 'c'} where text"),
    "no answer": ("empty_list.json", "found an empty list of outputs"),
    "other keys": ("no_keys.json", "(entry 1): found a row without the keys input and output"),
    "a broken line": ("broken.jsonl", "line 2: found broken JSON"),
    "a list for a line": ("list.jsonl", "line 1: found a row without the keys"),
    "a spreadsheet": ("sheet.xlsx", "found a file that ends in .xlsx"),
    "no ending": ("bare", "found a file that ends in nothing"),
    "too few pairs, quotes and a blank in the name": (
        'two words\' "quoted".csv',
        'two words\' "quoted" has 1; lower --shots',
    ),
    "a newline in the name": ("line\nbreak.csv", NAME),
    "a turn of direction in the name": ("\u202etxt.csv", NAME),
    "a name of 220 letters": ("n" * 220 + ".csv", NAME),
    "a backslash in the name": ("back\\slash.csv", NAME),
}
MODELS = {
    "no weights": ("no_weights", "found no weights; save the model with save_pretrained"),
    "weights that are none": ("not_safetensors", "cannot read its weights"),
    "a header of exabytes": ("huge_header", "cannot read its weights"),
    "half the weights": ("half_weights", "cannot read its weights"),
    "pickled weights": ("pickled", "pickled weights are never read"),
    "a lost shard": ("lost_shard", "found no lost.safetensors; fetch them again"),
    "a damaged index": ("damaged_index", "model.safetensors.index.json is damaged; fetch it again"),
    "no configuration": ("no_config", "expected config.json, found none"),
    "a broken configuration": ("broken_config", "cannot read its configuration"),
    "a list for a configuration": ("list_config", "cannot read its configuration"),
    "an unknown type": ("unknown_type", "cannot read its configuration"),
    "no type": ("no_type", "cannot read its configuration"),
    "a width that is not the weights'": ("wider", "expected"),
    "more blocks than weights": ("deeper", "expected"),
    "fewer blocks than weights": ("shallower", "expected"),
    "no blocks": ("no_blocks", "expected"),
    "−1 blocks": ("negative_blocks", "expected"),
    "a word for a number": ("text_for_blocks", "expected"),
    "an astronomic size": ("astronomic", "expected"),
    "another vocabulary": ("other_vocabulary", "expected"),
    "heads that do not divide the width": ("uneven_heads", "expected"),
    "an encoder–decoder": ("encoder", "is an encoder–decoder; expected"),
    "no tokenizer": ("no_tokenizer", "cannot read its tokenizer"),
    "a broken tokenizer": ("broken_tokenizer", "cannot read its tokenizer"),
    "code of its own": ("own_code", "code of its own, which is not run unasked"),
    "no such folder": ("./none", "found no such folder; expected a Hugging Face id, a folder"),
    "a file": ("good.csv", "found a file; expected a Hugging Face id, a folder"),
    "a name with blanks, quotes and a newline": ("my 'model'\n", "found no such folder; expected"),
}
RANKINGS = {
    "that are not there": ("none.json", "FileNotFoundError; make one with"),
    "of a folder": ("tiny", "IsADirectoryError"),
    "in broken JSON": ("broken.json", "JSONDecodeError"),
    "in JSON of 100,000 lists": ("deep.json", "RecursionError"),
    "of a number": ("number.json", "TypeError"),
    "under another key": ("antonyms.json", "KeyError"),
    "in another encoding": ("heads_in_latin.json", "UnicodeDecodeError"),
    "in words": ("heads_in_words.json", "ValueError"),
    "none": ("no_heads.json", "heads of another (4 blocks of 4 heads here)"),
    "of a deeper model": ("heads_above.json", "heads of another (4 blocks of 4 heads here)"),
    "of block ∞": ("head_at_infinity.json", "OverflowError"),
    "of NaN effect": ("effect_of_nan.json", "ValueError"),
}
OTHERS = {
    "a contradiction, refused on request": (
        [*TASK, "contradiction.json", "--strict-tasks"],
        "to accept both, leave out --strict-tasks",
    ),
    "a contradiction in what a vector is made of": (
        [*EXTRACT[:-2], "--task-file", "contradiction.json", "--strict-tasks"],
        "to accept both, leave out --strict-tasks",
    ),
    "a head for two": (
        [*EXTRACT, "--method", "function", "--prompts", "2", "--heads", "one_head.json"],
        "--heads one_head.json: expected 2 heads, found 1",
    ),
    "heads for a function vector that are not there": (
        [*EXTRACT, "--method", "function", "--prompts", "2", "--heads", "none.json"],
        f"{HEADS}FileNotFoundError",
    ),
    "a run of the future": ([*RUN, "future"], "expected schema 1, found 9, which a newer version"),
    "results of the future": ([*RUN, "future_results"], "expected schema 1, found 9"),
    "a schema in words": ([*RUN, "schema_in_words"], "expected schema 1, found 'one'"),
    "a run of the future, mapped": (
        ["cluster", *RUN[1:], "future_results", "--tasks", "to_upper,to_lower"],
        "expected schema 1, found 9",
    ),
    "a folder of something else": ([*RUN, "full"], "found thesis.txt and no run.json"),
    "a file for a folder": ([*RUN, "good.csv"], "cannot be made"),
    "a vector that is cut": ([*APPLY, "cut.safetensors", "x"], "found Error while deserializing"),
    "a vector with a flipped bit": ([*APPLY, "flipped.safetensors", "x"], "the file is damaged"),
    "a pickle": ([*APPLY, "pickle.safetensors", "x"], "expected a task vector as safetensors"),
    "a text": ([*APPLY, "text.safetensors", "x"], "expected a task vector as safetensors"),
    "an empty file": ([*APPLY, "empty.safetensors", "x"], "expected a task vector as safetensors"),
    "somebody else's tensors": ([*APPLY, "others.safetensors", "x"], "found format None"),
    "a vector of the future": ([*APPLY, "future.safetensors", "x"], "task_vector.9"),
    "a folder for a vector": ([*APPLY, "tiny", "x"], "expected a task vector as safetensors"),
    "a vector that is not there": ([*APPLY, "a b\n.safetensors", "x"], "found no such file"),
    "a report of nothing": (["report", "vacant"], "expected the folder of a run"),
    "a report of something else": (["report", "full"], "found neither run.json nor records.jsonl"),
    "a report of a file": (["report", "good.csv"], "expected the folder of a run"),
    "a report of what is not there": (["report", "none"], "found no such folder"),
    "a report into a file's folder": (
        ["report", "run", "--output", "good.csv/r.html"],
        "found a file for a",
    ),
    "vectors of no run": (["share", "full", "-o", "new"], "expected a sweep's folder"),
    "vectors into a full folder": (["share", "run", "-o", "full"], "found files there"),
    "vectors into a file": (["share", "run", "-o", "good.csv"], "found files there"),
    "vectors of a run of the future": (["share", "future_results", "-o", "new"], "found 9"),
}


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory, llama: Model, llama_folder: Path) -> Path:
    """A folder of everything that can be wrong; no test may change it."""
    place = tmp_path_factory.mktemp("things")
    shutil.copytree(llama_folder, place / "tiny")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(place)  # so that a run of "tiny" is a run of the same model
        icl.sweep(load_model("tiny"), "to_upper", output="run", dev=2, test=2)
    bad_things.write_task_files(place)
    bad_things.write_models(place, llama_folder)
    bad_things.write_vectors(place, llama)
    bad_things.write_runs(place, place / "run")
    return place


def contents(folder: Path) -> dict[Path, tuple[int, int] | None]:
    """Every file with size and time of its last change, locks apart; and every folder."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".lock"
    }


CASES = {
    **{f"task file: {name}": ([*TASK, file], told) for name, (file, told) in TASKS.items()},
    **{f"heads {name}": ([*COMPARE, at], HEADS + told) for name, (at, told) in RANKINGS.items()},
    **{f"model: {name}": ([*MODEL, at], told) for name, (at, told) in MODELS.items()},
    **OTHERS,
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_file_is_one_message_and_exit_2_and_nothing_is_written(
    command: Command, things: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    arguments, told = CASES[name]
    monkeypatch.chdir(things)
    before = contents(things)
    code, out, err = command(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and "Traceback" not in err
    assert told in err
    assert 1 <= len(err.splitlines()) <= 2
    assert all(c.isprintable() or c == "\n" for c in err)
    assert contents(things) == before
