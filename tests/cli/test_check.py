import json
from pathlib import Path
from typing import Any

import pytest
from transformers.models.llama.modeling_llama import LlamaModel

from icl_vectors.models.probe import unprobed
from tests.cli.conftest import Command

NAMES = (
    "a block's own state put back changes nothing",
    "θ changes the logits",
    "batched equals single",
    "cached equals uncached",
)


def test_each_check_is_a_line_with_what_was_measured(command: Command, llama_folder: Path) -> None:
    code, out, err = command("check", "--model", llama_folder, "--dtype", "float32,bfloat16")
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 10
    for dtype, shown in (("float32", lines[:5]), ("bfloat16", lines[5:])):
        assert shown[0] == (f"{llama_folder}, {dtype}: differences as shares of the logits' spread")
        for name, line in zip(NAMES, shown[1:], strict=True):
            assert line.startswith(f"ok      {name} ")
    assert "0 (at most 0.0001)        at 4 blocks" in lines[1]
    assert all(line.startswith("Loading ") for line in err.splitlines())


def test_int8_says_why_its_batches_differ(command: Command, llama_folder: Path) -> None:
    code, out, err = command("check", "--model", llama_folder, "--dtype", "int8", "--quiet")
    assert (code, err) == (0, "") or "does not compute" in err
    if code == 0:
        assert "LLM.int8 takes outliers apart by the whole batch" in out


def test_the_same_as_json(command: Command, llama_folder: Path) -> None:
    code, out, err = command("check", "--model", llama_folder, "--template", "paper", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["passed"] is True and document["dtype"] == "float32"
    assert [one["name"] for one in document["checks"]] == list(NAMES)
    assert all(set(one) >= {"measured", "bound", "passed", "remark"} for one in document["checks"])


@pytest.mark.parametrize("json_too", [False, True])
def test_a_failure_is_one_line_and_exit_1(
    command: Command, llama_folder: Path, monkeypatch: pytest.MonkeyPatch, json_too: bool
) -> None:
    as_it_is = LlamaModel.forward

    def without_mask(self: LlamaModel, *given: Any, **named: Any) -> Any:
        return as_it_is(self, *given, **{**named, "attention_mask": None})

    monkeypatch.setattr(LlamaModel, "forward", without_mask)
    monkeypatch.setattr("icl_vectors.models.load.probed", unprobed)  # it would run whole prompts
    arguments = ["--dtype", "float32,bfloat16", "--quiet", *(["--json"] if json_too else [])]
    code, out, err = command("check", "--model", llama_folder, *arguments)
    assert code == 1
    assert err.startswith(f"error: {llama_folder} in float32: expected that batched equals single")
    assert err.endswith("1 more failed.\n") and err.count("\n") == 1
    if json_too:
        assert [one["passed"] for one in json.loads(out)] == [False, False]
    else:
        assert "FAILED  batched equals single" in out
