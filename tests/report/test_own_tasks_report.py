import re
from dataclasses import replace
from pathlib import Path

from icl_vectors.report.examples import answers_table, examples_table
from icl_vectors.runs.lines import MOST
from icl_vectors.runs.reading import read_run
from icl_vectors.runs.run import Example
from tests.report.parts import claims_of


def heads(page: Path) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page.read_text("utf-8"))


def test_it_opens_with_what_was_asked_and_then_every_test_prompt(own_page: Path) -> None:
    page = own_page.read_text("utf-8")
    assert heads(own_page) == [
        "Every task", "Accuracy by layer and method", "Every test prompt", "Provenance",
    ]  # fmt: skip
    captions = re.findall(r"<caption>(.*?)</caption>", page)
    assert len(captions) == len({*captions}) and not {*captions} & {*heads(own_page)}
    assert "% of in-context" not in page
    body = re.search(r'id="run1-answers-table-answers".*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert body and body.group(1).count("<tr>") == 2 * 8
    assert not (own_page.parent / "tables" / "answers.md").exists()
    assert (own_page.parent / "tables" / "examples.md").read_text("utf-8").count("| upper |") == 2


def test_nothing_of_the_paper_stands_where_its_tasks_were_not_run(own_page: Path) -> None:
    page, run = own_page.read_text("utf-8"), read_run(own_page.parent)
    assert not run.of_paper and not claims_of(run) and run.missing == ()
    assert "could not be tested" not in page and "not in this folder" not in page
    assert not (own_page.parent / "tables" / "claims.md").exists()


def test_the_claims_are_there_where_a_task_of_the_paper_was_run(folder: Path) -> None:
    run = read_run(folder)
    assert run.of_paper and len(claims_of(run)) >= 8
    renamed = tuple(one.model_copy(update={"task": f"my_{one.task}"}) for one in run.tasks)
    own = replace(run, tasks=renamed, conflicts=(), cluster=None, vocabulary=())
    assert not claims_of(own)
    assert claims_of(replace(own, tasks=(*renamed, run.tasks[0])))


def test_of_many_prompts_the_first_are_shown_which_is_said() -> None:
    many = [
        Example("own", f"q{number}", ("a",), {"baseline": ("a", True), "regular": ("b", False)})
        for number in range(3000)
    ]
    table = answers_table(many, 4500, MOST)
    assert len(table.rows) == 2000 and table.note.startswith("2,000 of 4,500 prompts are shown.")
    assert "are shown" not in answers_table(many[:30], 30, MOST).note
    assert [cell.text for cell in table.rows[0]] == ["own", "q0", "a", "a ✓", "–", "b ✗"]
    assert len(examples_table(many).rows) == 2
