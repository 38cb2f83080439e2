"""Wrong arguments: one message, exit 2, and nothing is written. A case is a line of a shell."""

import shlex
from pathlib import Path

import nnsight
import pytest

from icl_vectors.remote.server import PUBLIC_HOST
from tests.cli.conftest import Command, contents, require_refused

HUGE = "1" + "0" * 400
NOWHERE = "http://127.0.0.1:9"
TINY = "--model tiny --quiet"
TWO = f"extract {TINY} --demo a→b --demo c→d --dummy e -o t.safetensors"
APPLY = f"apply theta.safetensors {TINY}"
SHARED = f"apply icv.safetensors {TINY} x"  # a vector with a way of its own
COMPARE = f"compare {TINY} --tasks to_upper -o new"
EXTRACT = f"extract {TINY} --task to_upper -o new"
SWEEP = f"sweep {TINY} --tasks to_upper -o new"
CLUSTER = f"cluster {TINY} --tasks en_es,en_fr --layer 1 -o new"
CONFLICT = f"conflict {TINY} --pairs next_letter:to_upper -o new"
VOCABULARY = f"vocabulary {TINY} --tasks to_upper -o new"
REPRODUCE = f"reproduce {TINY} --tasks to_upper,list_last -o new"
REMOTE = "sweep --model meta-llama/Llama-2-70b-hf --tasks to_upper -o new --quiet"
CASES = [  # what begins the line, how it goes on, what is told
    (APPLY, "'a\nb' --layer 1", "expected one line, found a newl"),
    (APPLY, "'\x1b[2Jx' --layer 1", r"query '\x1b[2Jx': expected"),
    (APPLY, "' ' --layer 1", "expected queries that are not blank"),
    (APPLY, "-5 --layer 1", "No such option: -5. Queries that begin with - go behind --: apply F"),
    ("apply theta.safetensors", "", "expected queries after the file, found none; or --info"),
    (APPLY, "x", "holds 4 layers and names no best one; give layer (--layer)"),
    (APPLY, "x --layer 9", "within 0 to 3"),
    (APPLY, f"x --layer {HUGE}", "within 0 to 3"),
    (APPLY, "x --layer last", "--layer 'last': expected a block, such as 10, or several"),
    (APPLY, "x --layer 1 --mode swap", "unknown mode 'swap'"),
    (APPLY, "x --layer 1 --mode ad", "Did you mean add"),
    (APPLY, "x --layer 1 --scale nan", "expected a finite number"),
    (APPLY, "x --layer 1 --scale inf", "a finite number"),
    (APPLY, "x --layer 1 --max-new-tokens 0", "--max-new-tokens 0: expected 1"),
    (APPLY, "x --layer 1 --top-k 0", "expected 1 to 400"),
    (APPLY, "x --layer 1 --top-k 401", "expected 1 to 400 tokens"),
    (APPLY, "x --layer 1 --dtype float32,bfloat16", "expected one dtype"),
    (APPLY, "--gguf no/x.gguf", "found no such folder; give an"),
    (APPLY, "--gguf tiny", "found a folder; give an"),
    (APPLY, "--gguf x.gguf --layer 0", "llama.cpp has no direction for block 0"),
    (SHARED, "--mode add", "--mode add with a vector of the method icv: expected none"),
    (SHARED, "--layer 1", "--layer with an in-context vector: expected none"),
    (f"extract {TINY}", "-o t", "expected demonstrations from one place"),
    (EXTRACT, "--demo a→b --demo c→d --dummy e", "demonstrations from one place"),
    (f"extract {TINY}", "--demo a -o t", 'expected "IN→OUT", such as "France→Paris"'),
    (f"extract {TINY}", "--demo a→b -o t", "found 1 demonstrations; add dummies"),
    (f"extract {TINY}", "--task antonym -o t", "Did you mean antonyms"),
    (TWO, "--demo 'f\ng→h'", "expected one line for input and output, found a newline"),
    (TWO, "--dummy 'f\ng'", "expected one line of te"),
    (TWO, "--dummy a", "not demonstrated, found 'a'"),
    (TWO, "-o no/t", "expected an existing folder, found none"),
    (TWO, "-o tiny", "a file to write, found a"),
    (TWO, "--layer 7:", "within 0 to 3"),
    (TWO, "--dtype float32,bfloat16", "expected one dtype here"),
    (TWO, "--prompts 3", "expected 1 with demonstrations of your own"),
    (
        TWO,
        "--method function",
        "a task and 2 prompts or more to average over, found demonstrations",
    ),
    (EXTRACT, "--method states", "unknown method 'states'. Did you mea"),
    (EXTRACT, "--method multi", "expected a method whose vectors can be kept"),
    (EXTRACT, "--method function", "2 prompts or more to average over, found a task and one pro"),
    (EXTRACT, "--method icv --prompts 2 --heads one_head.json", "'icv': expected function"),
    (COMPARE, "--methods 'state,\x1b[31m'", r"unknown --methods '\x1b[31m'"),
    (COMPARE, "--methods ,", "expected names of methods, or all, found none"),
    (COMPARE, "--controls rand", "unknown --controls 'rand'. Did you"),
    (COMPARE, "--arrows '-> →'", "expected arrows other than that"),
    (COMPARE, "--arrows {input}", "{input} exactly once"),
    (COMPARE, "--arrows '\x1b[31m>'", r"\x1b[31m>"),
    (COMPARE, "--shots 0", "--shots 0: expected 1 or more"),
    (COMPARE, "--shots-curve 1,x", "expected numbers of demonstrations"),
    (COMPARE, "--shots-curve -1", "expected numbers of demonstrations"),
    (COMPARE, "--shots-curve 1,999", "found fewer: to_upper has"),
    (COMPARE, "--shots-curve ²", "expected numbers of demonstr"),
    (COMPARE, "--layers 9", "within 0 to 3 (the model has 4 blocks"),
    (COMPARE, "--methods sate", "Did you mean state"),
    (COMPARE, "--tasks letter_case_bot", "Did you mean letter_case_both"),
    (f"compare {TINY}", "--task-file two.csv -o new", "found fewer: two has 2; lower --shots"),
    (
        f"check {TINY}",
        r"--template '{input}→\n{output}'",
        "the first token after the arrow is blank",
    ),
    (f"check {TINY}", "--template {output}→{input}", "{input} before"),
    (f"check {TINY}", "--template x", "{input} exactly once"),
    (f"check {TINY}", "--template {input}{input}→{output}", "exactly once, found it 2 times"),
    (f"check {TINY}", "--dtype ,", "expected a dtype, such as auto"),
    (f"check {TINY}", "--device cuda:7", "expected a CUDA GPU, found none"),
    (f"check {TINY}", "--revision v1", "which has no revisions"),
    (f"check {TINY}", "--host somewhere", "expected an address such"),
    (f"check {TINY}", f"--host {NOWHERE} --device cpu", "one of them; the server places the model"),
    (f"conflict {TINY}", "--pairs antonyms", "expected A:B, two tasks"),
    (f"conflict {TINY}", "--pairs en_es:en_es", "two different tasks"),
    (f"conflict {TINY}", "--pairs ,", "expected A:B,…, found none"),
    (f"conflict {TINY}", "--pairs to_upper:next_leter", "Did you mean next_letter"),
    (f"conflict {TINY}", "--pairs algorithmic:to_upper", "unknown task 'algorithmic'"),
    (f"conflict {TINY}", "--pairs en_es:to_upper -o new", "inputs that both tasks accept"),
    (f"conflict {TINY}", "--pairs country_capital:to_upper -o new", "found 0 in common and none"),
    (CONFLICT, "--test 0", "--test 0: expected 1 or more."),
    (CONFLICT, "--dev 0", "--dev 0: expected 1 or more."),
    (CONFLICT, "--dummies 0", "--dummies 0: expected 1 or more."),
    (CONFLICT, "--shots 30", "found fewer: next_letter has 25"),
    (CONFLICT, "--batch-size big", "expected auto, or 1 or more"),
    (CONFLICT, "--batch-size 0", "--batch-size 0: expected auto, or 1 or more"),
    (CONFLICT, "--template {input}", "expected {output} exactly once"),
    (f"cluster {TINY}", "--tasks en_es -o new", "two tasks or more"),
    (f"cluster {TINY}", "--per-task 1", "--per-task 1: expected 2 or more"),
    (CLUSTER, "--per-task 0", "--per-task 0: expected 2 or more"),
    (CLUSTER, "--per-task many", "See `icl-vectors cluster --help`"),
    (CLUSTER, "--layer first", "--layer 'first': expected best, or a whole number."),
    (CLUSTER, "--layer 4", "within 0 to 3 (the model has 4 blocks"),
    (CLUSTER, "--layer -5", "within 0 to 3 (the model has 4 blocks"),
    (CLUSTER, "--tasks en_es,to_uper", "Did you mean to_upper"),
    (CLUSTER, "--tasks to_upper,to_lower --shots 30", "fewer: to_upper has 26, to_lower has"),
    (CLUSTER, "--dummies 0", "--dummies 0: expected 1 or more."),
    (CLUSTER, "--template {input}", "expected {output} exactly once"),
    (CLUSTER, "-o full", "found thesis.txt and no run.json"),
    (f"vocabulary {TINY}", "--top 0", "--top 0: expected 1 or more"),
    (VOCABULARY, "--layer 4", "within 0 to 3 (the model has 4 blocks"),
    (VOCABULARY, "--layer -5", "within 0 to 3"),
    (VOCABULARY, "--layer best", "See `icl-vectors vocabulary --help`"),
    (VOCABULARY, "--dev 0", "--dev 0: expected 1 or more."),
    (VOCABULARY, "--tasks to_uper", "Did you mean to_upper"),
    (VOCABULARY, "--dtype float23", "Did you mean float32"),
    (VOCABULARY, "--template {input}", "expected {output} exactly once"),
    (REPRODUCE, "--tasks to_uper", "Did you mean to_upper"),
    (REPRODUCE, "--shots -1", "--shots -1: expected 0 or more."),
    (REPRODUCE, "--shots 30", "lower --shots or --dummies"),
    (REPRODUCE, "--test 0", "--test 0: expected 1 or more."),
    (REPRODUCE, "--template {input}→", "expected {output} exactly once"),
    (REPRODUCE, "--layer 3", "No such option"),
    ("reproduce --model ./none", "--tasks to_upper", "expected a Hugging Face id, a folder"),
    (SWEEP, "--seeds '41;42'", "expected whole numbers, such as"),
    (SWEEP, "--seeds ,", "expected whole numbers, such as 41,42"),
    (SWEEP, "--seeds 1,two", "expected whole numbers, such as 41,42"),
    (SWEEP, f"--shots {HUGE}", "found fewer: "),
    (SWEEP, "--shots 30", "to_upper has 26; lower --shots or --dummies"),
    (SWEEP, "--shots -1", "--shots -1: expected 0 or more."),
    (SWEEP, "--test 0.5", "valid integer"),
    (SWEEP, "--test many", "See `icl-vectors sweep --help`"),
    (SWEEP, "--test 0", "--test 0: expected 1 or more."),
    (SWEEP, "--dev 0", "--dev 0: expected 1 or more."),
    (SWEEP, "--dummies 0", "--dummies 0: expected 1 or more."),
    (SWEEP, "--batch-size 0", "--batch-size 0: expected auto, or 1 or more."),
    (SWEEP, "--batch-size big", "--batch-size big: expected auto, or 1"),
    (SWEEP, "--batchsize 3", "No such option"),
    (SWEEP, "--answer all", "unknown --answer 'all'"),
    (SWEEP, "--layers 0:4:0", "within 0 to 3"),
    (SWEEP, "--layers 4", "within 0 to 3 (the model has 4 blocks"),
    (SWEEP, "--layers 2:9", "expected all, A:B[:STEP] or I,J,…"),
    (SWEEP, "--layers first", "expected all, A:B[:STEP] or I,J,…"),
    (f"sweep {TINY}", "--tasks '\x1b[31m'", r"unknown task '\x1b[31m'"),
    (f"sweep {TINY}", "--tasks ../../x", "unknown task '../../x'"),
    (f"sweep {TINY}", "--tasks country_capitals", "Did you mean country_capital"),
    (f"sweep {TINY}", "--tasks knowledges", "Did you mean knowledge"),
    (f"sweep {TINY}", "--tasks ,", "expected at least one task, found none"),
    (SWEEP, "--template →{output}", "expected {input} exactly once"),
    (SWEEP, "--template {input}→", "expected {output} exactly once"),
    (SWEEP, "--template '{input} {output}'", "expected an arrow"),
    (SWEEP, "--template '{input}→    {output}'", "is blank, so it tells"),
    (SWEEP, "--dtype float23", "unknown dtype 'float23'. Did you mean float32"),
    (SWEEP, "--dtype float32,float8", "unknown dtype 'float8'"),
    (SWEEP, "--dtype ,", "--dtype ',': expected a dtype"),
    (SWEEP, "--dtype float32,bfloat16 -o run", "several runs, found that of a single one"),
    (SWEEP, f"--dtype float32,nf4 --host {NOWHERE}", "holds the model in a dtype of its own"),
    (SWEEP, "--load-in-4bit --load-in-8bit", "expected one of them"),
    (SWEEP, "--dtype float32 --load-in-4bit", "expected one of them"),
    (SWEEP, "--device tpu!", "expected cpu, cuda, cuda:N or mps"),
    (REMOTE, "--remote", f"{PUBLIC_HOST} asks for an API key, found none; get one at"),
    (REMOTE, "--host 127.0.0.1:5001", "expected an address such as http://"),
    (REMOTE, f"--host {NOWHERE}", "found none that answers (ConnectError)"),
    (REMOTE, f"--host {NOWHERE} --device cpu", "expected one of them"),
    ("plan", "'--no-such\x1b[31m'", "No such option"),
    ("plan --model tiny", "--memory much", "e.g. 24GB or 24GiB"),
    ("plan --model tiny", "--memory inf", "e.g. 24GB or"),
    ("plan --model tiny", "--memory 9 --remote", "one of them"),
    ("plan --model tiny", "--batch-size -3", "expected"),
    ("plan --model tiny", "--dtype float23", "unknown dtype 'float23'"),
    ("plan --model tiny", "--layers 99", "expected all, A:B"),
    ("plan --model tiny", "--tasks nothing", "unknown"),
    ("plan --model tiny", "--device tpu!", "--device tpu!: expected cpu, cuda"),
    ("plan --model tiny", "--calibrate --remote", "--calibrate or --memory with --remote: expec"),
    ("plan --model tiny", "--seeds 1,2 --methods state", "a comparison has one seed"),
    ("models", "--host ftp://127.0.0.1", "expected an address such as"),
    ("models", f"--host {NOWHERE}", "found none that answers"),
    ("models", "--remove ../x", "unknown embedded model"),
    ("models", "--remove gemma-3-27om", "unknown embedded model 'gemma-3-27om'. Did you mean gem"),
    ("tasks", "antonym", "Did you mean antonyms"),
    ("share", "run -o new --push", "requires an argument"),
    ("", "swep", "No such command"),
]


@pytest.mark.parametrize(
    ("begin", "rest", "told"), CASES, ids=[f"{b.split(' ')[0]} {r}"[:40] for b, r, _ in CASES]
)
def test_a_wrong_argument_is_a_message_and_nothing_is_written(
    command: Command,
    things: Path,
    monkeypatch: pytest.MonkeyPatch,
    attempts: list[object],
    begin: str,
    rest: str,
    told: str,
) -> None:
    monkeypatch.chdir(things)
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", None)  # this machine's own is not used
    require_refused(command, things, shlex.split(f"{begin} {rest}"), told)
    attempts.clear()  # of the cases that name a server where nobody listens


def test_a_folder_of_another_configuration_is_refused_by_what_differs(command: Command) -> None:
    run = "sweep --tasks to_upper --dev 2 -o run -q --test 3"
    assert command.tiny(run).code == 0
    before = contents(command.place)
    for change, named in (
        ("--test 4", "test: 3 → 4"),
        ("--seed 7", "seeds: [41] → [7]"),
        ("--dtype bfloat16", "model: dtype float32 → bfloat16"),
        ("--template paper", "template: "),
    ):
        code, out, err = command.tiny(f"{run} {change}")
        assert (code, out) == (2, "")
        assert "holds a run of another configuration" in err and named in err
    assert contents(command.place) == before
