import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.cli.main import run
from icl_vectors.cost.plan import plan_sweep
from icl_vectors.cost.prompt_sizes import sized
from icl_vectors.experiments.sweep import SweepConfig
from icl_vectors.prompts.encoding import longest
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template
from icl_vectors.runs.files import read_lines
from tests.cli.conftest import Command
from tests.experiments.test_cost import SEVENTY
from tests.tiny import N_LAYERS, bytes_tokenizer

SMALL = "--tasks to_upper,list_first --test 6 --dev 4"


def configured(folder: Path, **config: Any) -> Path:
    """A folder that holds nothing but the configuration of a model."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.fixture
def seventy(tmp_path: Path) -> Path:
    return configured(tmp_path / "llama-2-70b", model_type="llama", dtype="float16", **SEVENTY)


def plan(command: Command, model: Path, options: str) -> list[str]:
    code, out, err = command("plan", "--model", model, *options.split())
    assert code == 0, err
    return out.splitlines()


def test_70b_in_nf4_on_24_gb_is_told_the_truth(command: Command, seventy: Path) -> None:
    lines = plan(command, seventy, "--dtype nf4,bfloat16 --memory 24GB")
    assert f"  nf4       no       39.6 GB{'80.2 MB':>19}{'–':>12}  15.6 GB too large" in lines
    assert f"  bfloat16  no      138.0 GB{'80.2 MB':>19}{'–':>12}  114.0 GB too large" in lines
    for text in ("nf4 cannot be offloaded.\n", "bfloat16 with --device-map auto", "no tokenizer",
                 "68.98 billion parameters", "On an NDIF server (--remote): 18 jobs"):  # fmt: skip
        assert text in "\n".join(lines)
    assert lines[-1].endswith(f"icl-vectors sweep --model {seventy} --remote")


def test_a_larger_gpu_gets_a_command_that_can_be_run(command: Command, seventy: Path) -> None:
    options = "--memory 48GB --seeds 41,42 --shots 3 --json"
    found = json.loads("\n".join(plan(command, seventy, options)))
    assert (found["dtype"], found["tokens_estimated"]) == ("nf4", True)
    assert [one["dtype"] for one in found["dtypes"]] == ["float16", "bfloat16", "nf4", "int8"]
    assert found["remote"]["jobs"] == len(found["work"]) == 36
    words = shlex.split(found["command"])
    assert words[:4] == ["icl-vectors", "sweep", "--model", str(seventy)]
    assert words[4:] == ["--seeds", "41,42", "--shots", "3", "--dtype", "nf4"]


def test_7b_on_12_gb_get_the_smaller_dtype_with_a_reason(command: Command, tmp_path: Path) -> None:
    of_7b = {**SEVENTY, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    of_7b |= {"num_attention_heads": 32, "num_key_value_heads": 32}
    model = configured(tmp_path / "7b", model_type="llama", dtype="float16", **of_7b)
    lines = plan(command, model, "--memory 12GB")
    assert max(map(len, lines[2:-1])) <= 100
    table = lines[lines.index("A GPU of 12 GB:") + 2 :][:4]
    fits = [line.split()[:2] for line in table]
    assert fits == [["float16", "no"], ["bfloat16", "no"], ["nf4", "yes"], ["int8", "yes"]]
    assert "18 tasks: 1800 prompts in batches of 38." in lines
    assert lines[-4] == "Time: add --calibrate. Jobs on a server: add --remote."
    assert lines[-2].startswith("Recommended: nf4, smaller than int8, and its answers do not")
    assert lines[-1] == f"To run it: icl-vectors sweep --model {model} --dtype nf4"


def test_the_command_of_a_plan_runs_and_has_the_lengths_that_were_planned(command: Command) -> None:
    found = command.document(f"plan {SMALL} -o run")
    assert not found["tokens_estimated"] and not Path("run").exists()
    assert (found["dtype"], found["n_layers"]) == ("float32", N_LAYERS)
    assert run(shlex.split(found["command"])[1:]) == 0
    prompts = [Prompt(**line) for line in read_lines(Path("run/prompts.jsonl"))]
    assert found["longest_prompt"] == longest(sized(bytes_tokenizer(), Template(), prompts))
    assert sum(unit["prompts"] for unit in found["work"]) == len(prompts)


def test_a_plan_for_a_server_speaks_of_jobs_and_bytes(command: Command, seventy: Path) -> None:
    *lines, last = plan(command, seventy, "--tasks to_upper --remote")
    (jobs,) = [line for line in lines if "1 job, " in line]
    assert " up and " in jobs and " down" in jobs and "RAM" not in "\n".join(lines)
    assert last == f"To run it: icl-vectors sweep --model {seventy} --tasks to_upper --remote"


def test_what_fits_nowhere_is_told_the_whole_command(command: Command, seventy: Path) -> None:
    options = "--tasks to_upper --dev 8 --seed 3"
    *_, last = plan(command, seventy, f"--dtype nf4 {options} --memory 1GB")
    words = f"icl-vectors sweep --model {seventy} {options} --remote"
    assert last == f"Fits nowhere whole. To run it: {words}"


def test_methods_have_their_costs_and_whole_answers_none(command: Command) -> None:
    options = "--tasks to_upper --dev 2 --test 3 --methods state,multi"
    lines = plan(command, command.model, options)
    costs = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert int(costs["state"][1].replace(",", "")) < int(costs["multi"][1].replace(",", ""))
    assert "icl-vectors compare --model" in lines[-1] and "--methods state,multi" in lines[-1]
    written = "Not counted: writing whole answers (one more job a task on a server)."
    assert written in "\n".join(plan(command, command.model, "--tasks to_upper --answer generate"))


def test_calibration_measures_this_machine(command: Command) -> None:
    tasks = SweepConfig.make(tasks=["to_upper"], dev=4, test=4)
    uncalibrated = plan_sweep(str(command.model), tasks, dtypes=["float32"])
    assert "seconds" not in uncalibrated["dtypes"][0]
    found = command.document("plan --tasks to_upper --dev 4 --test 4 --dtype float32 --calibrate")
    seconds = found["dtypes"][0]["seconds"]
    assert seconds["device"] and 0 < seconds["estimated"] < 60
    lines = plan(command, command.model, f"{SMALL} --dtype float32 --calibrate")
    assert any("float32 takes about " in line for line in lines)
    assert "Jobs on a server: add --remote." in lines


def test_a_model_that_cannot_be_used_is_refused(command: Command, tmp_path: Path) -> None:
    code, _, err = command("plan", "--model", configured(tmp_path / "t5", model_type="t5"))
    assert code == 2 and "'t5' is an encoder–decoder" in err


def test_whole_prompts_are_named_and_counted(command: Command, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 400}
    model = configured(tmp_path / "mamba", model_type="mamba", **sizes)
    asked = "--tasks to_upper --dev 2 --test 2"
    assert "whole prompts" in "\n".join(plan(command, model, asked))
    [unit] = json.loads("\n".join(plan(command, model, f"{asked} --json")))["work"]
    assert unit["layer_tokens"] == 2 * unit["tokens"], "no block is spared"
