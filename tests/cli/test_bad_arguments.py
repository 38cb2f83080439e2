from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_bad_files import contents, things

__all__ = ["things"]  # a fixture
HUGE = "1" + "0" * 400
TINY = ["--model", "tiny", "--quiet"]
TWO = ["--demo", "a→b", "--demo", "c→d", "--dummy", "e", "-o", "t.safetensors"]
APPLY = ["apply", "theta.safetensors", "--model", "tiny", "--quiet"]
ICV = ["apply", "icv.safetensors", "--model", "tiny", "--quiet", "x"]
COMPARE = ["compare", *TINY, "--tasks", "to_upper", "-o", "new"]
EXTRACT = ["extract", *TINY, "--task", "to_upper", "-o", "new"]
NOWHERE = "http://127.0.0.1:9"

CASES: dict[str, tuple[list[str], str]] = {
    "a query with a newline": ([*APPLY, "a\nb", "--layer", "1"], "expected one line, found a newl"),
    "a query with an escape": ([*APPLY, "\x1b[2Jx", "--layer", "1"], r"query '\x1b[2Jx': expected"),
    "a blank query": ([*APPLY, " ", "--layer", "1"], "expected queries that are not blank"),
    "no query": (["apply", "theta.safetensors"], "expected queries after the file, found none"),
    "no layer of several": ([*APPLY, "x"], "names no best one; give layer (--layer)"),
    "a layer out of range": ([*APPLY, "x", "--layer", "9"], "within 0 to 3"),
    "a layer beyond numbers": ([*APPLY, "x", "--layer", HUGE], "within 0 to 3"),
    "a layer in words": ([*APPLY, "x", "--layer", "last"], "expected a block, such as 10"),
    "an unknown mode": ([*APPLY, "x", "--layer", "1", "--mode", "swap"], "unknown mode 'swap'"),
    "NaN times θ": ([*APPLY, "x", "--layer", "1", "--scale", "nan"], "expected a finite number"),
    "infinity times θ": ([*APPLY, "x", "--layer", "1", "--scale", "inf"], "a finite number"),
    "no tokens": ([*APPLY, "x", "--layer", "1", "--max-new-tokens", "0"], "expected 1 or more"),
    "more top tokens than there are": (
        [*APPLY, "x", "--layer", "1", "--top-k", "401"],
        "expected 1 to 400 tokens",
    ),
    "a control vector nowhere": ([*APPLY, "--gguf", "no/x.gguf"], "found no such folder; give an"),
    "a control vector in a folder's place": ([*APPLY, "--gguf", "tiny"], "found a folder; give an"),
    "a control vector of block 0": (
        [*APPLY, "--gguf", "x.gguf", "--layer", "0"],
        "llama.cpp has no direction for block 0",
    ),
    "demonstrations of nowhere": (["extract", *TINY, "-o", "t"], "demonstrations from one place"),
    "a demonstration without arrow": (
        ["extract", *TINY, "--demo", "a", "-o", "t"],
        'expected "IN→OUT"',
    ),
    "a demonstration of two lines": (
        ["extract", *TINY, *TWO, "--demo", "f\ng→h"],
        "expected one line for input and output, found a newline",
    ),
    "a dummy of two lines": (
        ["extract", *TINY, *TWO, "--dummy", "f\ng"],
        "expected one line of te",
    ),
    "a dummy that is shown": (["extract", *TINY, *TWO, "--dummy", "a"], "not demonstrated, found"),
    "a vector into no folder": (
        ["extract", *TINY, *TWO, "-o", "no/t"],
        "expected an existing fold",
    ),
    "a vector over a folder": (["extract", *TINY, *TWO, "-o", "tiny"], "a file to write, found a"),
    "layers out of range": (["extract", *TINY, *TWO, "--layer", "7:"], "within 0 to 3"),
    "two dtypes for one vector": (
        ["extract", *TINY, *TWO, "--dtype", "float32,bfloat16"],
        "expected one dtype here",
    ),
    "several prompts of own pairs": (
        ["extract", *TINY, *TWO, "--prompts", "3"],
        "expected 1 with demonstrations of your own",
    ),
    "an unknown method": ([*EXTRACT, "--method", "states"], "unknown method 'states'. Did you mea"),
    "a method whose vectors are not kept": (
        [*EXTRACT, "--method", "multi"],
        "expected a method whose vectors can be kept",
    ),
    "a function vector of one prompt": (
        [*EXTRACT, "--method", "function"],
        "expected a task and 2 prompts or more to average over, found a task and one prompt",
    ),
    "a function vector of demonstrations": (
        ["extract", *TINY, *TWO, "--method", "function"],
        "expected a task and 2 prompts or more to average over, found demonstrations",
    ),
    "heads for a method without": (
        [*EXTRACT, "--method", "icv", "--prompts", "2", "--heads", "one_head.json"],
        "heads with the method 'icv': expected function",
    ),
    "a mode for a vector with its own": (
        [*ICV, "--mode", "add"],
        "--mode add with a vector of the method icv: expected none",
    ),
    "a layer for a vector of all": (
        [*ICV, "--layer", "1"],
        "--layer with an in-context vector: expected none",
    ),
    "an unknown method to compare": (
        [*COMPARE, "--methods", "state,\x1b[31m"],
        r"unknown --methods '\x1b[31m'",
    ),
    "no method": ([*COMPARE, "--methods", ","], "expected names of methods, or all, found none"),
    "an unknown control": ([*COMPARE, "--controls", "rand"], "unknown --controls 'rand'. Did you"),
    "the template's own arrow": ([*COMPARE, "--arrows", "-> →"], "expected arrows other than that"),
    "an arrow with a field": ([*COMPARE, "--arrows", "{input}"], "{input} exactly once"),
    "an arrow with an escape": ([*COMPARE, "--arrows", "\x1b[31m>"], r"\x1b[31m>"),
    "no demonstrations to learn from": (
        [*COMPARE, "--shots", "0"],
        "--shots 0: expected 1 or more",
    ),
    "a curve in words": ([*COMPARE, "--shots-curve", "1,x"], "expected numbers of demonstrations"),
    "a curve below none": ([*COMPARE, "--shots-curve", "-1"], "expected numbers of demonstrations"),
    "a curve beyond the task": ([*COMPARE, "--shots-curve", "1,999"], "found fewer: to_upper has"),
    "a curve in other digits": ([*COMPARE, "--shots-curve", "²"], "expected numbers of demonstr"),
    "a comparison on two pairs": (
        ["compare", *TINY, "--task-file", "two.csv", "-o", "new"],
        "found fewer: two has 2; lower --shots",
    ),
    "layers to compare out of range": ([*COMPARE, "--layers", "9"], "within 0 to 3"),
    "a template whose answer begins a line": (
        ["check", *TINY, "--template", "{input}→\n{output}"],
        "the first token after the arrow is blank",
    ),
    "a template turned round": (
        ["check", *TINY, "--template", "{output}→{input}"],
        "{input} before",
    ),
    "a template without fields": (["check", *TINY, "--template", "x"], "{input} exactly once"),
    "a template with a field twice": (
        ["check", *TINY, "--template", "{input}{input}→{output}"],
        "exactly once, found it 2 times",
    ),
    "a check of no dtype": (["check", *TINY, "--dtype", ","], "expected a dtype, such as auto"),
    "a check on several GPUs that are not there": (
        ["check", *TINY, "--device", "cuda:7"],
        "expected a CUDA GPU, found none",
    ),
    "a revision of a folder": (["check", *TINY, "--revision", "v1"], "which has no revisions"),
    "a pair of one": (["conflict", *TINY, "--pairs", "antonyms"], "expected A:B, two tasks"),
    "a pair of the same": (["conflict", *TINY, "--pairs", "en_es:en_es"], "two different tasks"),
    "no pair": (["conflict", *TINY, "--pairs", ","], "expected A:B,…, found none"),
    "a pair without inputs in common": (
        ["conflict", *TINY, "--pairs", "en_es:to_upper", "-o", "new"],
        "expected inputs that both tasks accept",
    ),
    "one task for a map": (
        ["cluster", *TINY, "--tasks", "en_es", "-o", "new"],
        "two tasks or more",
    ),
    "one θ a task": (["cluster", *TINY, "--per-task", "1"], "--per-task 1: expected 2 or more"),
    "a layer for a map in words": (
        ["cluster", *TINY, "--layer", "first", "--tasks", "en_es,en_fr", "-o", "new"],
        "expected best, or a whole number",
    ),
    "no words": (["vocabulary", *TINY, "--top", "0"], "--top 0: expected 1 or more"),
    "a layer for words out of range": (
        ["vocabulary", *TINY, "--layer", "-5", "--tasks", "en_es", "-o", "new"],
        "within 0 to 3",
    ),
    "seeds in words": (["sweep", *TINY, "--seeds", "41;42"], "expected whole numbers, such as"),
    "no seeds": (["sweep", *TINY, "--seeds", ","], "expected whole numbers, such as 41,42"),
    "a count beyond numbers": (["sweep", *TINY, "--shots", HUGE], "found fewer: "),
    "half a prompt": (["sweep", *TINY, "--test", "0.5"], "valid integer"),
    "an unknown way to answer": (["sweep", *TINY, "--answer", "all"], "unknown --answer 'all'"),
    "steps of nothing": (["sweep", *TINY, "--layers", "0:4:0", "-o", "new"], "within 0 to 3"),
    "an escape for a task": (["sweep", *TINY, "--tasks", "\x1b[31m"], r"unknown task '\x1b[31m'"),
    "a task that is a path": (["sweep", *TINY, "--tasks", "../../x"], "unknown task '../../x'"),
    "an option that is none": (["plan", "--no-such\x1b[31m"], "No such option"),
    "memory in words": (["plan", "--model", "tiny", "--memory", "much"], "such as 24GB or 24GiB"),
    "memory without end": (["plan", "--model", "tiny", "--memory", "inf"], "such as 24GB or"),
    "memory of a server": (["plan", "--model", "tiny", "--memory", "9", "--remote"], "one of them"),
    "whole numbers, please": (["plan", "--model", "tiny", "--batch-size", "-3"], "expected"),
    "a server at no address": (["check", *TINY, "--host", "somewhere"], "expected an address such"),
    "a server in ftp": (["models", "--host", "ftp://127.0.0.1"], "expected an address such as"),
    "a server that is not there": (["models", "--host", NOWHERE], "found none that answers"),
    "a server and a device": (
        ["check", *TINY, "--host", NOWHERE, "--device", "cpu"],
        "expected one of them; the server places the model",
    ),
    "a model to remove that is none": (["models", "--remove", "../x"], "unknown embedded model"),
    "a task to show that is none": (["tasks", "antonym"], "Did you mean antonyms"),
    "a push without a name": (["share", "run", "-o", "new", "--push"], "requires an argument"),
    "no command": (["swep"], "No such command"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_argument_is_one_message_and_exit_2_and_nothing_is_written(
    command: Command,
    things: Path,  # noqa: F811 (the fixture)
    monkeypatch: pytest.MonkeyPatch,
    attempts: list[object],
    name: str,
) -> None:
    arguments, told = CASES[name]
    monkeypatch.chdir(things)
    before = contents(things)
    code, out, err = command(*arguments)
    attempts.clear()  # of the cases that name a server where nobody listens
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and "Traceback" not in err
    assert told in err
    assert 1 <= len(err.splitlines()) <= 2
    assert all(c.isprintable() or c == "\n" for c in err)
    assert contents(things) == before
