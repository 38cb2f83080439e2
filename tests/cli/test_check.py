import json
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


def test_each_check_is_a_line_with_what_was_measured(command: Command) -> None:
    code, out, err = command.tiny("check --dtype float32,bfloat16")
    assert code == 0, err
    lines, told = out.splitlines(), "differences as shares of the logits' spread"
    assert len(lines) == 10
    for dtype, shown in (("float32", lines[:5]), ("bfloat16", lines[5:])):
        assert shown[0] == f"{command.model}, {dtype}: {told}"
        for name, line in zip(NAMES, shown[1:], strict=True):
            assert line.startswith(f"ok      {name} ")
    assert "0 (at most 0.0001)        at 4 blocks" in lines[1]
    assert all(line.startswith("Loading ") for line in err.splitlines())
    code, out, err = command.tiny("check --dtype int8 --quiet")
    assert (code, err) == (0, "") or "does not compute" in err
    assert code or "LLM.int8 takes outliers apart by the whole batch" in out


def test_the_same_as_json(command: Command) -> None:
    document = command.document("check --template paper")
    assert document["passed"] is True and document["dtype"] == "float32"
    assert [one["name"] for one in document["checks"]] == list(NAMES)
    assert all(set(one) >= {"measured", "bound", "passed", "remark"} for one in document["checks"])


def test_a_failure_is_a_line_and_exit_1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = LlamaModel.forward

    def without_mask(self: LlamaModel, *given: Any, **named: Any) -> Any:
        return as_it_is(self, *given, **{**named, "attention_mask": None})

    monkeypatch.setattr(LlamaModel, "forward", without_mask)
    monkeypatch.setattr("icl_vectors.models.load.probed", unprobed)  # it would run whole prompts
    asked = "check --dtype float32,bfloat16 --quiet"
    for code, out, err in (command.tiny(asked), command.tiny(f"{asked} --json")):
        assert code == 1
        told = f"error: {command.model} in float32: expected that batched equals single"
        assert err.startswith(told) and err.endswith("1 more failed.\n") and err.count("\n") == 1
        failed = out.startswith("[") and [one["passed"] for one in json.loads(out)]
        assert failed == [False, False] or "FAILED  batched equals single" in out
