"""Each quantisation that transformers knows, as a checkpoint: run, or refused in a line."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from icl_vectors.cli.main import run
from tests.models.checkpoints import configured

METHODS: Any = AUTO_QUANTIZATION_CONFIG_MAPPING
SETTINGS: dict[str, dict[str, Any]] = {  # without which transformers makes no such configuration
    "bitsandbytes_4bit": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "bitsandbytes_8bit": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "gptq": {"bits": 4},
    "quanto": {"weights": "int8"},
    "compressed-tensors": {"config_groups": {}, "format": "dense"},
    "torchao": {"quant_type": "int4_weight_only"},
    "spqr": {"beta1": 16, "beta2": 16, "bits": 3, "shapes": {}},
    "vptq": {"config_for_layers": {}},
}
NAMED = {  # packages and devices; one that is there takes the weights, or says what is wrong
    **dict.fromkeys(["fp_quant", "fbgemm_fp8", "higgs", "spqr"], "GPU"),
    **{name: name for name in "aqlm hqq vptq sinq torchao fouroversix auto-round".split()},
    "gptq": "optimum",
    "awq": "gptqmodel",
    "eetq": "kernels",
    "quanto": "optimum-quanto",
    "quark": "amd-quark",
    "compressed-tensors": "compressed-tensors",
    "nvfp4": "not supported yet",
    "bitsandbytes_4bit": "found them in float32 after loading; mend quantization_config",
    "bitsandbytes_8bit": "found them in float32 after loading; mend quantization_config",
}
LACKS = re.compile(r"pip install (-U )?['\w]|GPU|not supported yet")


@pytest.mark.parametrize("method", METHODS)
def test_a_quantised_checkpoint_runs_or_names_what_lacks(
    method: str, wide_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(wide_folder, tmp_path / "model"))
    quantised = {"quant_method": method} | SETTINGS.get(method, {})
    configured(quantization_config=quantised)(folder)
    assert run(["plan", "--model", str(folder), "--tasks", "to_upper"]) == 0
    capsys.readouterr()
    code = run(["check", "--model", str(folder)])
    out, err = capsys.readouterr()
    if code == 0:  # weights that are dense all the same, dequantised on this machine
        assert "ok      cached equals uncached" in out and "dequantised" in err
        return
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("error: model '") and "Traceback" not in err
    assert NAMED.get(method, "") in last
    if "can be loaded here" in last:
        assert LACKS.search(last) and "fetch its files" not in last
