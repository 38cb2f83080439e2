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

SMALL = ["--tasks", "to_upper,list_first", "--test", 6, "--dev", 4]


@pytest.fixture
def seventy(tmp_path: Path) -> Path:
    """A folder that holds nothing but the configuration of Llama 2 70B."""
    folder = tmp_path / "llama-2-70b"
    folder.mkdir()
    config = {"model_type": "llama", "dtype": "float16", **SEVENTY}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def test_llama_2_70b_in_nf4_on_24_gb_is_answered_with_what_is_true(
    command: Command, seventy: Path
) -> None:
    options = ["--dtype", "nf4,bfloat16", "--memory", "24GB"]
    code, out, err = command("plan", "--model", seventy, *options)
    assert code == 0, err
    assert f"  nf4       no       39.6 GB{'80.2 MB':>19}{'–':>12}  15.6 GB too large\n" in out
    assert f"  bfloat16  no      138.0 GB{'80.2 MB':>19}{'–':>12}  114.0 GB too large\n" in out
    assert "nf4 cannot be offloaded.\n" in out and "bfloat16 with --device-map auto" in out
    assert "68.98 billion parameters" in out and "no tokenizer" in out
    assert "On an NDIF server (--remote): 18 jobs" in out
    assert out.splitlines()[-1].endswith(f"icl-vectors sweep --model {seventy} --remote")


def test_a_larger_gpu_gets_a_command_that_can_be_run(command: Command, seventy: Path) -> None:
    options = ["--memory", "48GB", "--seeds", "41,42", "--shots", 3]
    code, out, err = command("plan", "--model", seventy, *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["dtype"], found["tokens_estimated"]) == ("nf4", True)
    assert [one["dtype"] for one in found["dtypes"]] == ["float16", "bfloat16", "nf4", "int8"]
    assert found["remote"]["jobs"] == len(found["work"]) == 36
    words = shlex.split(found["command"])
    assert words[:4] == ["icl-vectors", "sweep", "--model", str(seventy)]
    assert words[4:] == ["--seeds", "41,42", "--shots", "3", "--dtype", "nf4"]


def test_a_7b_model_and_12_gb_get_the_smaller_of_the_dtypes_that_fit_and_the_reason(
    command: Command, tmp_path: Path
) -> None:
    of_7b = {**SEVENTY, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    of_7b |= {"num_attention_heads": 32, "num_key_value_heads": 32}
    config = {"model_type": "llama", "dtype": "float16", **of_7b}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    code, out, _ = command("plan", "--model", tmp_path, "--memory", "12GB")
    lines = out.splitlines()
    assert code == 0 and max(map(len, lines[2:-1])) <= 100
    table = lines[lines.index("A GPU of 12 GB:") + 2 :][:4]
    fits = [line.split()[:2] for line in table]
    assert fits == [["float16", "no"], ["bfloat16", "no"], ["nf4", "yes"], ["int8", "yes"]]
    assert "18 tasks: 1800 prompts in batches of 38.\n" in out
    assert lines[-4] == "Time: add --calibrate. Jobs on a server: add --remote."
    assert lines[-2].startswith("Recommended: nf4, smaller than int8, and its answers do not")
    assert lines[-1] == f"To run it: icl-vectors sweep --model {tmp_path} --dtype nf4"


def test_the_command_of_a_plan_runs_and_has_the_lengths_that_were_planned(
    command: Command, place: Path, llama_folder: Path
) -> None:
    code, out, err = command("plan", "--model", llama_folder, *SMALL, "--json", "-o", "run")
    assert code == 0, err
    found = json.loads(out)
    assert not found["tokens_estimated"] and not (place / "run").exists()
    assert (found["dtype"], found["n_layers"]) == ("float32", N_LAYERS)
    assert run(shlex.split(found["command"])[1:]) == 0
    prompts = [Prompt(**line) for line in read_lines(place / "run" / "prompts.jsonl")]
    encoded = sized(bytes_tokenizer(), Template(), prompts)
    assert found["longest_prompt"] == longest(encoded)
    assert sum(unit["prompts"] for unit in found["work"]) == len(prompts)


def test_a_plan_for_a_server_speaks_of_jobs_and_bytes(command: Command, seventy: Path) -> None:
    code, out, err = command("plan", "--model", seventy, "--tasks", "to_upper", "--remote")
    assert code == 0, err
    assert "1 job, " in out and " up and " in out and " down" in out
    assert "RAM" not in out
    last = f"To run it: icl-vectors sweep --model {seventy} --tasks to_upper --remote"
    assert out.splitlines()[-1] == last


def test_what_fits_nowhere_is_told_the_whole_command(command: Command, seventy: Path) -> None:
    options = ["--tasks", "to_upper", "--dev", 8, "--seed", 3, "--memory", "1GB"]
    code, out, err = command("plan", "--model", seventy, "--dtype", "nf4", *options)
    assert code == 0, err
    words = f"icl-vectors sweep --model {seventy} --tasks to_upper --dev 8 --seed 3 --remote"
    assert out.splitlines()[-1] == f"Fits nowhere whole. To run it: {words}"


def test_whole_answers_are_said_not_to_be_counted(command: Command, llama_folder: Path) -> None:
    options = ["--tasks", "to_upper", "--answer", "generate"]
    code, out, err = command("plan", "--model", llama_folder, *options)
    assert code == 0, err
    assert "Not counted: writing whole answers (one more job a task on a server)." in out


def test_calibration_measures_this_machine(llama_folder: Path) -> None:
    tasks = SweepConfig.make(tasks=["to_upper"], dev=4, test=4)
    found = plan_sweep(str(llama_folder), tasks, dtypes=["float32"], calibrate=True)
    seconds: Any = found["dtypes"][0]["seconds"]
    assert seconds["device"] and 0 < seconds["estimated"] < 60
    uncalibrated = plan_sweep(str(llama_folder), tasks, dtypes=["float32"])
    assert "seconds" not in uncalibrated["dtypes"][0]


def test_a_plan_with_the_time_does_not_say_how_to_get_it(
    command: Command, llama_folder: Path
) -> None:
    options = [*SMALL, "--dtype", "float32", "--calibrate"]
    code, out, err = command("plan", "--model", llama_folder, *options)
    assert code == 0, err
    assert "float32 takes about " in out and "\nJobs on a server: add --remote.\n" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory", "lots"], "--memory 'lots': expected a size, e.g. 24GB"),
        (["--dtype", "float23"], "unknown dtype 'float23'"),
        (["--layers", "99"], "expected all, A:B"),
        (["--tasks", "nothing"], "unknown"),
        (["--calibrate", "--remote"], "--calibrate or --memory with --remote: expected one"),
        (["--device", "tpu!"], "--device tpu!: expected cpu, cuda"),
    ],
)
def test_mistakes_are_told_in_a_line(
    command: Command, llama_folder: Path, options: list[str], message: str
) -> None:
    code, out, err = command("plan", "--model", llama_folder, *options)
    assert code == 2 and not out
    assert message in err and len(err.splitlines()) <= 6


def test_a_model_that_cannot_be_used_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5"}', "utf-8")
    code, _, err = command("plan", "--model", tmp_path)
    assert code == 2 and "'t5' is an encoder–decoder" in err


def test_the_plan_says_that_whole_prompts_run_and_counts_them(
    command: Command, tmp_path: Path
) -> None:
    sizes = '"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 400'
    (tmp_path / "config.json").write_text(f'{{"model_type": "mamba", {sizes}}}', "utf-8")
    asked = ("plan", "--model", tmp_path, "--tasks", "to_upper", "--dev", "2", "--test", "2")
    code, out, _ = command(*asked)
    assert code == 0 and "whole prompts" in out
    [unit] = json.loads(command(*asked, "--json")[1])["work"]
    assert unit["layer_tokens"] == 2 * unit["tokens"], "no block is spared"
