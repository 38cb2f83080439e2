import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.template import DEFAULT_TEMPLATE, Template, load_template
from tests.told import told


def test_the_default_template_is_that_of_the_papers_figures_and_presets_have_names() -> None:
    template = Template()
    pairs = [("Apple", "Red"), ("Lime", "Green")]
    assert template.prompt(pairs, "Corn") == "Apple→Red\nLime→Green\nCorn→"
    assert template.query("Corn") == "Corn→"
    assert load_template("default").text == DEFAULT_TEMPLATE
    assert load_template("paper").prompt([("a", "b")], "c") == "example:a->b\nexample:c->"


def test_blanks_after_the_arrow_are_the_answer_s_and_what_follows_the_output_ends_it() -> None:
    template = Template("{input} is: {output}")
    assert (template.arrow, template.gap) == (" is: ", " ")
    assert template.query("sky") == "sky is:"
    assert template.line("sky", "blue") == "sky is: blue\n"
    template = Template('"{input}" => "{output}";')
    assert (template.after, template.query("a")) == ('";\n', '"a" => "')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{output}", "expected {input} exactly once, found it 0 times"),
        ("{input}→", "expected {output} exactly once, found it 0 times"),
        ("{input}{input}→{output}", "expected {input} exactly once, found it 2 times"),
        ("{output}←{input}", "expected {input} before {output}"),
        ("{input}{output}", "expected an arrow"),
        ("{input} {output}", "expected an arrow"),
        ("papr", "expected {input} exactly once"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(text: str, message: str) -> None:
    with told(message, repr(text), DEFAULT_TEMPLATE):
        load_template(text)


def test_backslash_n_and_t_mean_newline_and_tab_and_two_backslashes_one() -> None:
    template = load_template(r"Q: {input}\nA:\t{output}")
    assert template.text == "Q: {input}\nA:\t{output}"
    assert template.prompt([("sky", "blue")], "sun") == "Q: sky\nA:\tblue\nQ: sun\nA:"
    assert load_template(r"{input} \\to {output}").text == r"{input} \to {output}"


@pytest.mark.parametrize(
    "text", ["{input}\n{output}", "{input}→\r{output}", "\x1b{input}→{output}"]
)
def test_an_arrow_of_a_newline_alone_and_other_control_characters_are_refused(text: str) -> None:
    with pytest.raises(IclVectorsError, match="expected an arrow|only control characters are"):
        load_template(text)
