import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.template import DEFAULT_TEMPLATE, Template, load_template


def test_the_default_template_is_that_of_the_papers_figures() -> None:
    template = Template()
    pairs = [("Apple", "Red"), ("Lime", "Green")]
    assert template.prompt(pairs, "Corn") == "Apple→Red\nLime→Green\nCorn→"
    assert template.query("Corn") == "Corn→"


def test_the_presets_are_known_by_name() -> None:
    assert load_template("default").text == DEFAULT_TEMPLATE
    assert load_template("paper").prompt([("a", "b")], "c") == "example:a->b\nexample:c->"


def test_blanks_after_the_arrow_belong_to_the_answer() -> None:
    template = Template("{input} is: {output}")
    assert template.arrow == " is: "
    assert template.gap == " "
    assert template.query("sky") == "sky is:"
    assert template.line("sky", "blue") == "sky is: blue\n"


def test_what_follows_the_output_ends_the_answer() -> None:
    template = Template('"{input}" => "{output}";')
    assert template.after == '";\n'
    assert template.query("a") == '"a" => "'


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
    with pytest.raises(IclVectorsError) as raised:
        load_template(text)
    assert message in str(raised.value)
    assert repr(text) in str(raised.value)
    assert DEFAULT_TEMPLATE in str(raised.value)


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
