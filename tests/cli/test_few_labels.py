import json
from pathlib import Path

from icl_vectors.runs.files import read_lines, write_json
from icl_vectors.runs.folder import read_json
from icl_vectors.runs.schema import BEGIN_ALIKE
from icl_vectors.tasks.task import Task
from tests.cli.conftest import Command
from tests.made import ALIKE, PARITY, save_made

SMALL = "--shots 4 --dev 30 --test 40 -o run"
NEW = {"n_answers", "n_first_tokens", "n_labels", "begin_alike", "constant", "beats_constant",
       "beats_baseline", "apart", "dev_apart_by_layer", "fails"}  # fmt: skip


def write_task(name: str, task: Task) -> None:
    pairs = [{"input": text, "output": outputs[0]} for text, outputs in task.pairs]
    write_json(Path(f"{name}.json"), pairs)


def test_what_theta_does_not_carry_is_told_everywhere(command: Command) -> None:
    save_made(Path("made"), constant=True)
    write_task("parity", PARITY)
    write_task("toss", ALIKE)
    files = "--task-file parity.json --task-file toss.json"
    code, out, err = command(*f"sweep --model made {files} {SMALL}".split())
    assert code == 0, err
    parity, toss = out.splitlines()[1:3]
    assert parity.endswith("! answers a constant") and toss.endswith(f"! {BEGIN_ALIKE}")
    assert "constant" in out.splitlines()[0]
    assert f"! toss is left out of the means: {BEGIN_ALIKE}." in out
    assert "answers a constant" in err, "the line of a task as it ends"
    page = Path("run/report.html").read_text("utf-8")
    summary = page[page.index('<p class="summary">') :].split("</p>")[0]
    assert "1 task(s)" in summary, "toss does not count"
    assert "θ does not carry parity (answers a constant)" in summary
    assert f"Left out: toss ({BEGIN_ALIKE})" in summary
    caption = page[page.index("Baseline, hypothesis and regular, each task.") :].split("</fig")[0]
    assert f"parity (answers a constant), toss ({BEGIN_ALIKE})" in caption
    assert "the best constant answer" in caption
    table = Path("run/tables/tasks.md").read_text("utf-8")
    assert "constant" in table.splitlines()[0] + table.splitlines()[2]
    assert "answers a constant: no success" in table


def test_a_folder_of_an_older_version_is_reported_and_resumed(command: Command) -> None:
    save_made(Path("made"))
    write_task("parity", PARITY)
    sweep = f"sweep --model made --task-file parity.json {SMALL}".split()
    command(*sweep)
    records, results = Path("run/records.jsonl"), Path("run/results.json")
    lines = read_lines(records)
    for line in lines:
        line["result"] = {k: v for k, v in line.get("result", {}).items() if k not in NEW}
    records.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    data = read_json(results)
    data["tasks"] = [{k: v for k, v in e.items() if k not in NEW} for e in data["tasks"]]
    write_json(results, data)
    code, _, err = command("report", "run")
    assert code == 0, err
    code, out, err = command(*sweep)
    assert code == 0, err
    assert "All 1 were finished before." in err
    assert out.splitlines()[1].startswith("parity") and "constant" not in out
