import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.cli.main import run
from icl_vectors.cost.plan import plan_sweep
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.sweep import SweepConfig
from icl_vectors.models import adapters
from icl_vectors.models.adapters import KINDS
from icl_vectors.models.load import load_model
from tests.families import random_of_family
from tests.tiny import bytes_tokenizer, load_plain, save_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:peft.*")
COUNTS: dict[str, Any] = {"dev": 6, "test": 6, "shots": 3}
OF_KIND: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "IA3": {"feedforward_modules": ["down_proj"]},
    "OFT": {"oft_block_size": 4},
}
Change = Callable[[Path], object]


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
        load_model(str(folder)) for folder in (tmp_path / "adapter", merged, llama_folder)
    )
    assert opened.base == {"reference": str(llama_folder), "revision": None, "adapter": kind}
    assert len({one.fingerprint for one in (opened, by_hand, base)}) == 3
    pairs, dummies = {"a": "A", "b": "B"}, ["c"]
    of_adapter, of_merged, of_base = (
        icl.extract(one, pairs, dummies).vectors for one in (opened, by_hand, base)
    )
    assert_close(of_adapter, of_merged, rtol=1e-4, atol=1e-5)
    assert float((of_adapter - of_base).abs().max()) > 0.01
    for name in ("adapter", "merged"):
        model = opened if name == "adapter" else by_hand
        icl.sweep(model, ["to_upper"], **COUNTS, output=tmp_path / f"run-{name}")
    answers = [
        [json.loads(line)["prediction"] for line in file.read_text("utf-8").splitlines()]
        for file in (tmp_path / f"run-{name}/samples.jsonl" for name in ("adapter", "merged"))
    ]
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
    configured(base_model_name_or_path=str(moved))(adapter)
    assert load_model(str(adapter)).fingerprint == about["fingerprint"]


def test_plan_reads_the_base_of_an_adapter(adapter: Path, llama_folder: Path) -> None:
    of_adapter, of_base = (
        plan_sweep(str(one), SweepConfig.make(tasks="to_upper")) for one in (adapter, llama_folder)
    )
    assert {**of_adapter, "model": ""} == {**of_base, "model": ""}


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
def test_an_adapter_stays_apart_from_quantised_weights(tmp_path: Path, dtype: str) -> None:
    base = random_of_family("llama", hidden_size=64, vocab_size=400)
    save_model(tmp_path / "base", base, bytes_tokenizer())
    adapted(tmp_path / "base").save_pretrained(tmp_path / "adapter")
    opened, plain = (load_model(str(tmp_path / name), dtype=dtype) for name in ("adapter", "base"))
    assert opened.dtype == dtype
    by_hand: Any = peft.PeftModel.from_pretrained(plain.nnsight._module, tmp_path / "adapter")
    ids = torch.arange(9)[None]
    with torch.no_grad():
        expected = by_hand(ids).logits
        assert torch.equal(opened.nnsight._module(ids).logits, expected)
        with by_hand.disable_adapter():
            assert not torch.equal(by_hand(ids).logits, expected)


def test_a_revision_is_that_of_the_adapter(
    tmp_path: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = ("1" * 40, "2" * 40)
    for name, commits_of in (("base", ("3" * 40,)), ("adapter", commits)):
        place = tmp_path / "hub" / f"models--lab--{name}"
        (place / "refs").mkdir(parents=True)
        for ref, commit in zip(("main", "v2"), commits_of, strict=False):
            (place / "refs" / ref).write_text(commit, "utf-8")
    hub = tmp_path / "hub"
    shutil.copytree(llama_folder, hub / "models--lab--base/snapshots" / ("3" * 40))
    for rank, commit in zip((4, 8), commits, strict=True):
        folder = hub / "models--lab--adapter/snapshots" / commit
        adapted(llama_folder, r=rank).save_pretrained(folder)
        configured(base_model_name_or_path="lab/base", revision="3" * 40)(folder)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    main, v2 = (load_model("lab/adapter", revision=revision) for revision in (None, "v2"))
    assert (main.revision, v2.revision) == (None, "v2") and not main.is_from_folder
    assert main.base == {"reference": "lab/base", "revision": "3" * 40, "adapter": "LORA"}
    assert main.fingerprint != v2.fingerprint
    assert load_model("lab/base").base is None


def configured(**settings: Any) -> Change:
    def change(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **settings}), "utf-8")

    return change


def rewritten(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def rewrite(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        weights = load_file(file)
        change(weights)
        save_file(weights, file, metadata={"format": "pt"})

    return rewrite


def pickled(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    torch.save(weights, folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


def on_a_wider_base(folder: Path) -> None:
    base = random_of_family("llama", hidden_size=64, vocab_size=400)
    save_model(folder.parent / "wide", base, bytes_tokenizer())
    configured(base_model_name_or_path=str(folder.parent / "wide"))(folder)


def on_another_family(folder: Path) -> None:
    save_model(folder.parent / "gpt2", random_of_family("gpt2"), bytes_tokenizer())
    configured(base_model_name_or_path=str(folder.parent / "gpt2"))(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (configured(base_model_name_or_path="/no/base"), "its base model (base_model_name_or_path"),
        (configured(base_model_name_or_path=None), "expected base_model_name_or_path in adapter_c"),
        (on_a_wider_base, "size mismatch for base_model.model.model.layers.0.self_attn.q_proj"),
        (on_another_family, "found Target modules"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "found none; pickled"),
        (pickled, "found adapter_model.bin; pickled weights are never read"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "expected JSON in adapt"),
        (configured(peft_type="PREFIX_TUNING"), "found PREFIX_TUNING; merge it if it can"),
        (configured(peft_type="PROMPT_TUNING"), "found PROMPT_TUNING; merge it if it can"),
        (configured(task_type="SEQ_CLS"), "expected an adapter of a language model"),
        (configured(alora_invocation_tokens=[5]), "found one that tokens switch on"),
        (rewritten(lambda weights: weights.popitem()), "found no base_model.model.model.layers."),
        (
            rewritten(lambda weights: weights.update({"base_model.model.other": torch.ones(3)})),
            "found in its weights base_model.model.other",
        ),
        (
            lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"version https://"),
            "give the base model that it was trained on",
        ),
    ],
)
def test_an_adapter_that_can_not_be_put_on_says_why_in_a_line(
    adapter: Path, change: Change, message: str
) -> None:
    change(adapter)
    with pytest.raises(IclVectorsError) as raised:
        load_model(str(adapter))
    assert message in str(raised.value) and f"adapter {str(adapter)!r}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_peft_the_command_that_installs_it_is_named(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(IclVectorsError, match=r'pip install "icl-vectors\[peft\]"'):
        load_model(str(adapter))


def test_a_server_has_no_adapters(adapter: Path) -> None:
    with pytest.raises(IclVectorsError, match="with --remote: .* found an adapter") as raised:
        load_model(str(adapter), remote=True)
    assert "\n" not in str(raised.value)
