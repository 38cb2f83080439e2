import pytest

from icl_vectors.report.table import Cell, Column, Table, number, to_latex, to_markdown, visible


def table(*texts: str) -> Table:
    columns = (Column("a_b"), Column("n", True))
    return Table("odd", "50 % & more", columns, tuple((Cell(t), number(1)) for t in texts))


def test_latex_escapes_everything_that_latex_reads() -> None:
    text = to_latex(table(r"50% & a_b #1 $x$ {y} ~ ^ \end{tabular} < > → θ"))
    assert (
        r"50\% \& a\_b \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{}end\{tabular\} \textless{} \textgreater{} $\rightarrow$ $\theta$"
    ) in text
    assert r"\caption{50 \% \& more}" in text
    assert r"\begin{tabular}{lr}" in text


def test_a_latex_row_may_begin_with_a_bracket() -> None:
    assert "\n{}[0, 1] & 1.00 \\\\\n" in to_latex(table("[0, 1]"))


def test_markdown_keeps_cells_apart() -> None:
    lines = to_markdown(table("a|b\nc", "<script>*")).splitlines()
    assert lines[2:] == [
        r"| a\_b | n |",
        "| --- | ---: |",
        r"| a\|b c | 1.00 |",
        r"| \<script\>\* | 1.00 |",
    ]


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" Paris", "␣Paris"), ("a\n", r"a\n"), ("首都", "首都"), ("  ", "␣␣"), ("\x1b[1m", r"\x1b[1m"),
     ("x ", "x␣"), ("", "")],
)  # fmt: skip
def test_blanks_and_control_characters_of_tokens_are_seen(token: str, shown: str) -> None:
    assert visible(token) == shown
