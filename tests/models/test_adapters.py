import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.cli.main import run
from icl_vectors.cost.plan import plan_sweep
from icl_vectors.experiments.sweep import SweepConfig
from icl_vectors.models import adapters
from icl_vectors.models.adapters import KINDS
from icl_vectors.runs.files import read_lines
from tests.families import random_of_family
from tests.models.checkpoints import Change, configured, fill_cache, rewritten, written
from tests.tiny import bytes_tokenizer, load_plain, save_model
from tests.told import told

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:peft.*")
WEIGHTS = "adapter_model.safetensors"
COUNTS: dict[str, Any] = {"dev": 6, "test": 6, "shots": 3}
OF_KIND: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "IA3": {"feedforward_modules": ["down_proj"]},
    "OFT": {"oft_block_size": 4},
}


def adapted(base: Path, kind: str = "LORA", **settings: Any) -> Any:
    """A model of transformers alone with an adapter of random weights on it."""
    torch.manual_seed(7)
    targets = {"target_modules": ["q_proj", "o_proj", "down_proj"], "task_type": "CAUSAL_LM"}
    make: Any = peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(kind)]
    config = make(**targets | OF_KIND.get(kind, {}) | settings)
    model: Any = peft.get_peft_model(load_plain(base), config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture
def adapter(tmp_path: Path, llama_folder: Path) -> Path:
    adapted(llama_folder).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize(
    ("kind", "settings"), [*((kind, {}) for kind in KINDS), ("LORA", {"use_dora": True})]
)
def test_an_adapter_does_what_merging_it_does(
    tmp_path: Path, llama_folder: Path, kind: str, settings: dict[str, Any]
) -> None:
    model = adapted(llama_folder, kind, **settings)
    model.save_pretrained(tmp_path / "adapter")
    merged = save_model(tmp_path / "merged", model.merge_and_unload(), bytes_tokenizer())
    opened, by_hand, base = (
        icl.load_model(str(folder)) for folder in (tmp_path / "adapter", merged, llama_folder)
    )
    assert opened.base == {"reference": str(llama_folder), "revision": None, "adapter": kind}
    assert len({one.fingerprint for one in (opened, by_hand, base)}) == 3
    pairs, dummies = {"a": "A", "b": "B"}, ["c"]
    of_adapter, of_merged, of_base = (
        icl.extract(one, pairs, dummies).vectors for one in (opened, by_hand, base)
    )
    assert_close(of_adapter, of_merged, rtol=1e-4, atol=1e-5)
    assert float((of_adapter - of_base).abs().max()) > 0.01
    answers = []
    for name, one in (("adapter", opened), ("merged", by_hand)):
        icl.sweep(one, ["to_upper"], **COUNTS, output=tmp_path / "runs" / name)
        samples = read_lines(tmp_path / "runs" / name / "samples.jsonl")
        answers.append([sample["prediction"] for sample in samples])
    assert answers[0] == answers[1] and len(set(answers[0])) > 3


def test_the_command_line_opens_an_adapter_and_run_json_names_its_base(
    adapter: Path, tmp_path: Path, llama_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--model", str(adapter)]) == 0
    assert f"a LORA adapter, opened on {llama_folder}" in capsys.readouterr().err
    command = ["sweep", "--model", str(adapter), "--tasks", "to_upper", "--dev", "2", "--test", "2"]
    assert run([*command, "--output", str(tmp_path / "run"), "--quiet"]) == 0
    about = json.loads((tmp_path / "run/run.json").read_text("utf-8"))["model"]
    assert about["base"] == {"reference": str(llama_folder), "revision": None, "adapter": "LORA"}
    moved = shutil.copytree(llama_folder, tmp_path / "moved")  # the same base elsewhere
    configure(base_model_name_or_path=str(moved))(adapter)
    assert icl.load_model(str(adapter)).fingerprint == about["fingerprint"]


def test_plan_reads_the_base_of_an_adapter(adapter: Path, llama_folder: Path) -> None:
    of_adapter, of_base = (
        plan_sweep(str(one), SweepConfig.make(tasks="to_upper")) for one in (adapter, llama_folder)
    )
    assert {**of_adapter, "model": ""} == {**of_base, "model": ""}


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
def test_an_adapter_stays_apart_when_quantised(
    tmp_path: Path, wide_folder: Path, dtype: str
) -> None:
    adapted(wide_folder).save_pretrained(tmp_path)
    opened, plain = (icl.load_model(str(folder), dtype=dtype) for folder in (tmp_path, wide_folder))
    assert opened.dtype == dtype
    by_hand: Any = peft.PeftModel.from_pretrained(plain.nnsight._module, tmp_path)
    ids = torch.arange(9)[None]
    with torch.no_grad():
        expected = by_hand(ids).logits
        assert torch.equal(opened.nnsight._module(ids).logits, expected)
        with by_hand.disable_adapter():
            assert not torch.equal(by_hand(ids).logits, expected)


def test_a_revision_is_that_of_the_adapter(tmp_path: Path, llama_folder: Path, hub: Path) -> None:
    commits = {}
    for name, rank, commit in (("main", 4, "1" * 40), ("v2", 8, "2" * 40)):
        adapted(llama_folder, r=rank).save_pretrained(tmp_path / name)
        configure(base_model_name_or_path="lab/base", revision="3" * 40)(tmp_path / name)
        commits[name] = commit, tmp_path / name
    fill_cache(hub, "lab/base", main=("3" * 40, llama_folder))
    fill_cache(hub, "lab/adapter", **commits)
    main, v2 = (icl.load_model("lab/adapter", revision=revision) for revision in (None, "v2"))
    assert (main.revision, v2.revision) == (None, "v2") and not main.is_from_folder
    assert main.base == {"reference": "lab/base", "revision": "3" * 40, "adapter": "LORA"}
    assert main.fingerprint != v2.fingerprint
    assert icl.load_model("lab/base").base is None


def configure(**settings: Any) -> Change:
    return configured("adapter_config.json", **settings)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def on_base_of(family: str, **settings: Any) -> Change:
    def change(folder: Path) -> None:
        base = save_model(
            folder.parent / "base", random_of_family(family, **settings), bytes_tokenizer()
        )
        configure(base_model_name_or_path=str(base))(folder)

    return change


def add_a_tensor(weights: dict[str, torch.Tensor]) -> None:
    weights["base_model.model.other"] = torch.ones(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (configure(base_model_name_or_path="/no/base"), "its base model (base_model_name_or_path"),
        (configure(base_model_name_or_path=None), "expected base_model_name_or_path in ada"),
        (on_base_of("llama", hidden_size=64), "size mismatch for base_model.model.model.layers.0."),
        (on_base_of("gpt2"), "found Target modules"),
        (lambda folder: (folder / WEIGHTS).unlink(), "found none; pickled"),
        (pickled, "found adapter_model.bin; pickled weights are never read"),
        (written("adapter_config.json", "{"), "expected JSON in adapt"),
        (configure(peft_type="PREFIX_TUNING"), "found PREFIX_TUNING; merge it if it can"),
        (configure(peft_type="PROMPT_TUNING"), "found PROMPT_TUNING; merge it if it can"),
        (configure(task_type="SEQ_CLS"), "expected an adapter of a language model"),
        (configure(alora_invocation_tokens=[5]), "found one that tokens switch on"),
        (rewritten(dict.popitem, WEIGHTS), "found no base_model.model.model.layers."),
        (rewritten(add_a_tensor, WEIGHTS), "found in its weights base_model.model.other"),
        (written(WEIGHTS, "version https://"), "give the base model that it was trained on"),
    ],
)
def test_an_adapter_that_can_not_be_put_on_says_why_in_a_line(
    adapter: Path, change: Change, message: str
) -> None:
    change(adapter)
    with told(message, f"adapter {str(adapter)!r}"):
        icl.load_model(str(adapter))


def test_without_peft_its_install_is_named(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(icl.IclVectorsError, match=r'pip install "icl-vectors\[peft\]"'):
        icl.load_model(str(adapter))


def test_a_server_has_no_adapters(adapter: Path) -> None:
    with pytest.raises(icl.IclVectorsError, match="with --remote: .* found an adapter") as raised:
        icl.load_model(str(adapter), remote=True)
    assert "\n" not in str(raised.value)
