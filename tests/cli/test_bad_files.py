"""Wrong files and folders: one message, exit 2, and nothing is written."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command, require_refused

SWEEP = "sweep --quiet --dev 2 --test 2"
TASK = f"{SWEEP} --model tiny --task-file"
RUN = f"{SWEEP} --tasks to_upper --model tiny -o"
EXTRACT = "extract --quiet --model tiny -o new"
FUNCTION = f"{EXTRACT} --task to_upper --method function --prompts 2 --heads"
COMPARE = "compare --quiet --dev 2 --test 2 --tasks to_upper --model tiny -o new --methods function"
HEADS = "expected the heads.json of a comparison with this model, found "
FORMS = 'expected JSON {"input": "output", …}'
NAME = "a name that can be that of a file"
NO_VECTOR = "expected a task vector as safetensors"

TASKS = {
    "antonyms.json": "is taken; rename the file",
    "none.csv": "none.csv: cannot be read (No such file or directory); give",
    "tiny": "tiny: cannot be read (Is a directory); give",
    "open_quote.tsv": FORMS,
    "zeros.csv": FORMS,
    "escape.json": r"in 'a\x1b[31m'",
    "broken.json": "line 1: found broken JSON",
    "nan.json": "found nan where text that is not blank should be",
    "infinity.json": "found inf where text that is not blank should be",
    "huge.json": FORMS,
    "deep.json": FORMS,
    "number.json": "found JSON of type int",
    "sheet.xlsx": "found a file that ends in .xlsx",
    'two words\' "quoted".csv': 'two words\' "quoted" has 1; lower --shots',
    "line\nbreak.csv": NAME,
    "\u202etxt.csv": NAME,
    "n" * 220 + ".csv": NAME,
    "back\\slash.csv": NAME,
}
MODELS = {
    "no_weights": "found no weights; save the model with save_pretrained",
    "not_safetensors": "cannot read its weights",
    "huge_header": "cannot read its weights",
    "half_weights": "cannot read its weights",
    "pickled": "pickled weights are never read",
    "lost_shard": "found no lost.safetensors; fetch them again",
    "damaged_index": "model.safetensors.index.json is damaged; fetch it again",
    "no_config": "expected config.json, found none",
    "broken_config": "cannot read its configuration",
    "list_config": "cannot read its configuration",
    "unknown_type": "cannot read its configuration",
    "no_type": "cannot read its configuration",
    "wider": "expected",
    "deeper": "expected",
    "shallower": "expected",
    "no_blocks": "expected",
    "negative_blocks": "expected",
    "text_for_blocks": "expected",
    "astronomic": "expected",
    "other_vocabulary": "expected",
    "uneven_heads": "expected",
    "encoder": "is an encoder–decoder; expected",
    "no_tokenizer": "cannot read its tokenizer",
    "broken_tokenizer": "cannot read its tokenizer",
    "own_code": "code of its own, which is not run unasked",
    "./none": "found no such folder; expected a Hugging Face id, a folder",
    "good.csv": "found a file; expected a Hugging Face id, a folder",
    "my 'model'\n": "found no such folder; expected",
}
UNRANKED = "a file without its ranked heads; make one with"
RANKINGS = {
    "none.json": "no such file or directory; make one with",
    "tiny": "is a directory; make one with",
    "broken.json": UNRANKED,
    "deep.json": UNRANKED,
    "number.json": UNRANKED,
    "antonyms.json": UNRANKED,
    "heads_in_latin.json": UNRANKED,
    "heads_in_words.json": UNRANKED,
    "no_heads.json": "heads of another (4 blocks of 4 heads here)",
    "heads_above.json": "heads of another (4 blocks of 4 heads here)",
    "head_at_infinity.json": UNRANKED,
    "effect_of_nan.json": UNRANKED,
}
VECTORS = {
    "cut.safetensors": "found Error while deserializing",
    "flipped.safetensors": "found another: the file is damaged",
    "others.safetensors": "found format None",
    "future.safetensors": "task_vector.9",
    "tiny": NO_VECTOR,
    "a b\n.safetensors": "found no such file",
}
OTHERS = {
    f"{TASK} contradiction.json --strict-tasks": "accept both, leave out --strict-tasks",
    f"{EXTRACT} --task-file contradiction.json --strict-tasks": "both, leave out --strict-tasks",
    "tasks --task-file contradiction.json --strict-tasks": "both, leave out --strict-tasks",
    f"{FUNCTION} one_head.json": "--heads one_head.json: expected 2 heads, found 1",
    f"{FUNCTION} none.json": f"{HEADS}no such file or directory",
    f"{RUN} future": "expected schema 1, found 9, which a newer version",
    f"{RUN} future_results": "expected schema 1, found 9",
    f"{RUN} schema_in_words": "expected schema 1, found 'one'",
    "cluster --quiet --tasks to_upper,to_lower --model tiny -o future_results": "found 9",
    f"{RUN} full": "found thesis.txt and no run.json",
    f"{RUN} good.csv": "cannot be made",
    "report vacant": "expected the folder of a run",
    "report full": "found neither run.json nor records.jsonl",
    "report good.csv": "expected the folder of a run",
    "report none": "found no such folder",
    "report run --output good.csv/r.html": "found a file for a",
    "share full -o new": "expected a sweep's folder",
    "share run -o full": "found files there",
    "share run -o good.csv": "found files there",
    "share future_results -o new": "found 9",
}
GROUPS = (
    (f"{TASK} AT", TASKS),
    (f"{SWEEP} --tasks to_upper --model AT", MODELS),
    (f"{COMPARE} --heads AT", {at: HEADS + t for at, t in RANKINGS.items()}),
    ("apply AT x --quiet", VECTORS),
)
CASES = [
    ([at if word == "AT" else word for word in line.split()], told)
    for line, group in GROUPS
    for at, told in group.items()
]
CASES += [(line.split(), told) for line, told in OTHERS.items()]


@pytest.mark.parametrize(("arguments", "told"), CASES, ids=[" ".join(a)[-40:] for a, _ in CASES])
def test_a_wrong_file_is_a_message_and_nothing_is_written(
    command: Command, things: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(things)
    require_refused(command, things, arguments, told)
