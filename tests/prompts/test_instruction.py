"""θ after an instruction: as plain PyTorch reads it, and beside θ after demonstrations."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.report.write import write_report
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from icl_vectors.tasks.task import known_tasks
from icl_vectors.vectors.info import by_layer_lines, describe_lines
from tests.tiny import load_plain
from tests.told import told
from tests.twins import plain
from tests.twins.prompts import token_ids

FEW: dict[str, Any] = {"dev": 4, "test": 4, "shots": 3}
TASKS = ["to_upper", "country_capital", "next_letter"]


def test_every_built_in_task_names_its_rule_in_one_line() -> None:
    named = {name: icl.load_task(name).instruction for name in known_tasks()}
    assert all(text.endswith(".") and "\n" not in text for text in named.values())
    for name, text in named.items():
        words = {word.strip(".,:").lower() for word in text.split()}
        answers = {one.lower() for one in icl.load_task(name).labels if len(one) > 1}
        if icl.load_task(name).category != "classification":
            assert not words & answers - {"the", "of"} or name in WORDS_OF_THE_TASK, name


WORDS_OF_THE_TASK = {  # whose answers are any words of the language, such as "word"
    "fr_en", "es_en", "en_fr", "en_es", "antonyms", "plural_singular", "person_language",
    "antonyms_both", "en_fr_both", "en_es_both", "en_it_both", "singular_plural_both",
    "gerund_both", "past_simple_both", "past_participle_both",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "input,output,instruction\nhot,cold,Say the opposite.\nbig,small,\n"),
        ("a.csv", "input,output,instruction\nhot,cold,\nbig,small,Say the opposite.\n"),
        ("a.tsv", "Instruction\tinput\toutput\nSay the opposite.\thot\tcold\n"),
        ("a.jsonl", '{"input": "hot", "output": "cold", "instruction": "Say the opposite."}\n'),
        ("a.json", '[{"input": "hot", "output": "cold", "instruction": "Say the opposite."}]'),
        ("a.json", '{"instruction": "Say the opposite.", "pairs": [["hot", "cold"]]}'),
    ],
)
def test_a_task_file_names_the_rule(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    task = icl.Task.from_file(path)
    assert task.instruction == "Say the opposite." and task.pairs[0] == ("hot", ("cold",))


@pytest.mark.parametrize("text", ['{"hot": "cold"}', '{"input": ["hot"], "output": ["cold"]}'])
def test_a_file_without_one_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, "utf-8")
    assert icl.Task.from_file(tmp_path / "a.json").instruction == ""


def test_theta_is_that_of_plain_pytorch(llama: Model, llama_folder: Path, tmp_path: Path) -> None:
    twin, reader = load_plain(llama_folder), llama.tokenizer
    text = "Name the capital."
    theta = icl.extract(llama, [], ["Kenya", "Cuba"], instruction=text)
    own = plain.theta(twin, [token_ids(reader, f"{text}\n{one}→") for one in ("Kenya", "Cuba")])
    assert_close(theta.vectors, own, rtol=1e-4, atol=1e-4)
    kept = icl.TaskVector.load(theta.save(tmp_path / "θ.safetensors"))
    assert (kept.instruction, kept.demonstrations, kept.dummies) == (text, (), ("Kenya", "Cuba"))
    assert icl.apply_by_layer(llama, theta, ["Spain"])["regular"].isna().all()
    beside = icl.extract(llama, {"France": "Paris", "Japan": "Tokyo"}, ["Kenya"], instruction=text)
    frame = icl.apply_by_layer(llama, beside, ["Spain"])
    ids = token_ids(reader, "France→Paris\nJapan→Tokyo\nSpain→")
    assert frame["regular"][0] == reader.decode([plain.next_token(twin, ids)]).strip()
    answered = plain.next_token(twin, token_ids(reader, f"{text}\nKenya→"))
    for row in frame.to_dict("records"):
        vector = plain.states(twin, token_ids(reader, f"{text}\nKenya→"))[row["layer"]]
        token = plain.injected(twin, token_ids(reader, "Spain→"), row["layer"], vector)
        assert row["answer"] == reader.decode([token]).strip()
        assert row["copies_dummy"] == (token == answered)


@pytest.mark.usefixtures("drawn_once")
def test_a_sweep_after_an_instruction(llama: Model, llama_folder: Path, tmp_path: Path) -> None:
    twin, reader = load_plain(llama_folder), llama.tokenizer
    found = icl.sweep(llama, TASKS, theta_source="instruction", output=tmp_path, **FEW)
    usual = icl.sweep(llama, TASKS, **FEW)
    for one, other in zip(found.data["tasks"], usual.data["tasks"], strict=True):
        assert one["baseline"] == other["baseline"] and one["regular"] == other["regular"]
    prompts = read_lines(tmp_path / "prompts.jsonl")
    for name in TASKS:
        rule = icl.load_task(name).instruction
        test = [one for one in prompts if one["task"] == name and one["split"] == "test"]
        assert {one["instruction"] for one in test} == {rule}
        ids = [[token_ids(reader, f"{rule}\n{dummy}→") for dummy in one["dummies"]] for one in test]
        own = [plain.theta(twin, of_dummies) for of_dummies in ids]
        vector = found.vectors[name, 41]
        assert_close(vector.vectors, torch.stack(own).mean(0), rtol=1e-4, atol=1e-4)
        assert vector.instruction == rule
        samples = icl.predictions(found).query("task == @name and method == 'hypothesis'")
        for row in samples[samples["split"] == "test"].to_dict("records"):
            at = next(i for i, one in enumerate(test) if one["id"] == row["id"])
            query = token_ids(reader, f"{row['query']}→")
            token = plain.injected(twin, query, row["layer"], own[at][row["layer"]])
            assert row["prediction"] == reader.decode([token])
    page = write_report([tmp_path]).read_text("utf-8")
    assert "θ is read after each task&#39;s instruction" in page
    run = read_json(tmp_path / "run.json")
    recorded = run["experiments"]["sweep"]["configuration"]
    assert recorded["theta_source"] == "instruction"
    assert recorded["instructions"] == {one: icl.load_task(one).instruction for one in TASKS}
    with pytest.raises(icl.IclVectorsError, match="theta_source: instruction → not set"):
        icl.sweep(llama, TASKS, output=tmp_path, **FEW)
    again = icl.sweep(llama, found.experiment.Config.of_run(run, "sweep"))
    assert again.data["tasks"] == found.data["tasks"]


def test_demonstrations_alone_leave_no_trace_in_the_files(llama: Model, tmp_path: Path) -> None:
    icl.sweep(llama, ["to_upper"], output=tmp_path, **FEW)
    assert "instruction" not in (tmp_path / "prompts.jsonl").read_text("utf-8")
    recorded = read_json(tmp_path / "run.json")["experiments"]["sweep"]["configuration"]
    assert recorded["theta_source"] is None and recorded["instructions"] is None


def test_both_sources_on_one_map_and_by_cosine(llama: Model, tmp_path: Path) -> None:
    options: dict[str, Any] = {"per_task": 4, "shots": 3, "by_layer": True, "layer": 2}
    found = icl.cluster(llama, TASKS, theta_source="both", output=tmp_path, **options)
    alone = icl.cluster(llama, TASKS, **options).data["cluster"]
    both = found.data["cluster"]
    assert {key: both[key] for key in alone} == alone, "described as without the other source"
    rows = list(csv.DictReader((tmp_path / "cluster.csv").read_text("utf-8").splitlines()))
    drawn = [(row["source"], row["task"]) for row in rows]
    both_ways = ("demonstrations", "instruction")
    assert drawn == [(way, task) for way in both_ways for task in TASKS for _ in range(4)]

    def means(end: str) -> dict[str, torch.Tensor]:
        files = {name: tmp_path / "thetas" / f"{name}{end}.seed41.safetensors" for name in TASKS}
        return {name: load_file(file)["thetas"].mean(0) for name, file in files.items()}

    shown, ruled = means(""), means(".instruction")  # (layer, hidden)
    sources = both["sources"]
    assert sources["layers"] == list(range(llama.n_layers))
    for name in TASKS:
        to_all = {
            other: torch.cosine_similarity(ruled[name], shown[other], dim=-1) for other in TASKS
        }
        rest = torch.stack([to_all[one] for one in TASKS if one != name]).mean(0)
        assert sources["own"][name] == pytest.approx(to_all[name].tolist(), abs=1e-4)
        assert sources["others"][name] == pytest.approx(rest.tolist(), abs=1e-4)
        assert sources["nearest"][name] == max(TASKS, key=lambda one: float(to_all[one][2]))
    page = write_report([tmp_path]).read_text("utf-8")
    assert "hollow: θ after the task" in page and "θ after an instruction and θ after" in page
    assert (tmp_path / "tables" / "sources.md").is_file()
    assert (tmp_path / "figures" / "sources_by_layer.svg").is_file()


def test_the_block_of_a_sweep_after_something_else_is_refused(llama: Model, tmp_path: Path) -> None:
    icl.sweep(llama, TASKS, theta_source="instruction", output=tmp_path, **FEW)
    options: dict[str, Any] = {"per_task": 2, "output": tmp_path, **FEW}
    for source in ("both", "demonstrations"):
        with pytest.raises(icl.IclVectorsError, match="after demonstrations, as its best blocks"):
            icl.cluster(llama, TASKS, theta_source=source, **options)
    own = icl.cluster(llama, TASKS, theta_source="instruction", **options)
    assert own.data["cluster"]["per_task"] == 2
    with pytest.raises(icl.IclVectorsError, match="found one after instruction; choose another"):
        icl.conflict(llama, "next_letter:to_upper", output=tmp_path, **FEW)


def test_a_vector_says_what_it_was_read_after(llama: Model) -> None:
    theta = icl.extract(llama, {"a": "A", "b": "B"}, ["c"], instruction="Say it.")
    assert "after 'Say it.'" in repr(theta)
    assert "not read" in "\n".join(describe_lines(theta))
    alone = icl.extract(llama, [], ["c"], instruction="Say it.")
    frame = icl.apply_by_layer(llama, alone, ["d"])
    rows: Any = frame.to_dict("records")
    lines = list(by_layer_lines(rows, 1))
    assert lines[-1].startswith("θ keeps no demonstrations")


def test_what_cannot_be_right_is_refused_in_a_line(llama: Model) -> None:
    own = icl.Task.from_pairs("mine", [(one, one.upper()) for one in "abcdefghijkl"])
    upper = icl.load_task("to_upper")
    with told("found no instruction in mine; give its file"):
        icl.sweep(llama, [own], theta_source="instruction")
    with told("--theta-source", "both"):
        icl.sweep(llama, ["to_upper"], theta_source="both")
    with told("expected dummies to read θ at, found none"):
        icl.extract(llama, [], instruction="Do it.")
    with told("expected one line, found a newline"):
        icl.extract(llama, [], ["a"], instruction="Do\nit.")
    with told("method icv: expected one that reads θ at"):
        icl.extract(llama, upper, instruction="Do it.", method="icv")
