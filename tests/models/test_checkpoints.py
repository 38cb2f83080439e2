import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from torch.testing import assert_close

import icl_vectors as icl
from tests.families import random_of_family
from tests.models.checkpoints import fill_cache
from tests.tiny import bytes_tokenizer, random_model, save_model

PAIRS, DUMMIES = {"a": "A", "b": "B"}, ["c"]


def theta(reference: str | Path, **options: Any) -> torch.Tensor:
    return icl.extract(icl.load_model(str(reference), **options), PAIRS, DUMMIES).vectors


def told(folder: Path) -> list[str]:
    lines: list[str] = []
    icl.load_model(str(folder), log=lines.append)
    return lines


def test_shards_are_one_model_and_a_missing_one_is_named(
    llama_folder: Path, tmp_path: Path
) -> None:
    random_model("llama").save_pretrained(tmp_path, max_shard_size="40KB")
    bytes_tokenizer().save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 3
    assert_close(theta(tmp_path), theta(llama_folder))
    shards[1].unlink()
    with pytest.raises(icl.IclVectorsError, match=f"found no {shards[1].name}; fetch them again"):
        icl.load_model(str(tmp_path))


def test_a_tokenizer_that_is_only_slow_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama_folder, tmp_path / "slow"))
    for file in folder.glob("token*"):
        file.unlink()
    slow = {"tokenizer_class": "CTRLTokenizer"}  # which transformers has in Python alone
    (folder / "tokenizer_config.json").write_text(json.dumps(slow), "utf-8")
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "b": 1}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    with pytest.raises(icl.IclVectorsError, match="expected a fast tokenizer .* found a slow one"):
        icl.load_model(str(folder))


def test_a_chat_template_is_used_with_a_notice(llama_folder: Path, tmp_path: Path) -> None:
    tokenizer = bytes_tokenizer()
    tokenizer.chat_template = "{{ messages }}"
    folder = save_model(tmp_path / "chat", random_model("llama"), tokenizer)
    assert any("instruction-tuned" in line and "base models" in line for line in told(folder))
    assert not any("instruction-tuned" in line for line in told(llama_folder))
    assert torch.equal(theta(folder), theta(llama_folder))


def test_a_text_that_begins_twice_is_refused(tmp_path: Path) -> None:
    tokenizer: Any = bytes_tokenizer()
    twice = TemplateProcessing(single="<s> <s> $A", special_tokens=[("<s>", 1)])
    tokenizer.backend_tokenizer.post_processor = twice
    folder = save_model(tmp_path / "twice", random_model("llama"), tokenizer)
    with pytest.raises(icl.IclVectorsError, match="begin a text with one '<s>', found 2"):
        icl.load_model(str(folder))


def test_a_beginning_that_lacks_is_told_where_the_family_needs_it(tmp_path: Path) -> None:
    for family, needed in (("llama", True), ("gpt_neox", False)):
        model = random_of_family(family)
        folder = save_model(tmp_path / family, model, bytes_tokenizer(bos=False))
        lines = told(folder)
        assert any("no beginning-of-text token" in line for line in lines) is needed
        assert theta(folder).isfinite().all()


def test_a_folder_has_no_revisions(llama_folder: Path) -> None:
    with pytest.raises(icl.IclVectorsError, match="--revision main: .* lies in a folder"):
        icl.load_model(str(llama_folder), revision="main")


def test_a_revision_is_the_commit_that_is_loaded(hub: Path, tmp_path: Path) -> None:
    commits = {"main": ("1" * 40, tmp_path / "1"), "v2": ("2" * 40, tmp_path / "2")}
    for (_, folder), factor in zip(commits.values(), (1.0, 1.5), strict=True):
        model: Any = random_model("llama")
        with torch.no_grad():
            model.model.layers[1].mlp.down_proj.weight *= factor
        save_model(folder, model, bytes_tokenizer())
    fill_cache(hub, "lab/model", **commits)
    models = [icl.load_model("lab/model", revision=revision) for revision in (None, "v2", "2" * 40)]
    assert [one.fingerprint for one in models] == ["1" * 40, "2" * 40, "2" * 40]
    assert models[1].revision == "v2"
    first, second, third = (icl.extract(model, PAIRS, DUMMIES).vectors for model in models)
    assert not torch.equal(first, second) and torch.equal(second, third)
    with pytest.raises(icl.IclVectorsError, match="in the cache lab/model without this revision"):
        icl.load_model("lab/model", revision="v3")
