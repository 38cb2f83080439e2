"""Prompts in a chat: the tokenizer's own template writes them, plain PyTorch reads them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.prompts.chat import in_chat
from icl_vectors.prompts.template import Template, Turn
from icl_vectors.report.write import write_report
from icl_vectors.runs.folder import read_json
from tests.tiny import bytes_tokenizer, load_plain, random_model, save_model
from tests.twins import plain

TURNS = (
    "{{ bos_token }}{% for one in messages %}[{{ one.role }}]\n{{ one.content | trim }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
INSTRUCTION = (  # no generation prompt, a blank before the answer
    "{% for one in messages %}{% if one.role == 'user' %}<s>[INST] {{ one.content }} [/INST]"
    "{% else %} {{ one.content }}</s>{% endif %}{% endfor %}"
)
THINKING = TURNS.replace(
    "[assistant]\n", "[assistant]\n{% if not enable_thinking %}<think></think>\n{% endif %}"
)
PAIRS = [("France", "Paris"), ("Japan", "Tokyo"), ("Egypt", "Cairo")]
DUMMIES = ["Kenya", "Cuba"]
LINES = "France→Paris\nJapan→Tokyo\nEgypt→Cairo\n"


def tokenizer(template: str | None, **options: Any) -> Any:
    made: Any = bytes_tokenizer(**options)
    made.chat_template = template
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("chat"), random_model("llama"), tokenizer(TURNS))


@pytest.fixture(scope="module")
def model(folder: Path) -> icl.Model:
    return icl.load_model(str(folder))


def asked(reader: Any, text: str) -> list[int]:
    """The ids of a user's message, as transformers itself makes them."""
    messages = [{"role": "user", "content": text}]
    options = {"add_generation_prompt": True, "return_dict": True, "enable_thinking": False}
    return list(reader.apply_chat_template(messages, **options)["input_ids"])


@pytest.mark.parametrize("template", [TURNS, INSTRUCTION, THINKING])
@pytest.mark.parametrize("bos", [True, False])
def test_prompts_have_the_tokens_that_transformers_gives(template: str, bos: bool) -> None:
    reader = tokenizer(template, bos=bos)
    form = in_chat(Template(), reader)
    for text, prompt in (
        (LINES + "Spain→", form.prompt(PAIRS, "Spain")),
        ("Spain→", form.query("Spain")),
        ("Name it.\nSpain→", form.query("Spain", "Name it.")),
    ):
        assert list(reader(prompt)["input_ids"]) == asked(reader, text)


def test_blanks_before_the_answer_are_the_answers_and_thoughts_are_none() -> None:
    assert in_chat(Template(), tokenizer(INSTRUCTION)).gap == " "
    assert in_chat(Template("{input} is: {output}"), tokenizer(TURNS)).gap == ""
    assert in_chat(Template(), tokenizer(THINKING)).turn.tail.endswith("<think></think>\n")


def test_a_template_that_prints_the_day_gives_the_same_prompts_on_every_day() -> None:
    dated = TURNS.replace("{{ bos_token }}", "{{ strftime_now('%d %B %Y') }} {{ date_string }}\n")
    assert in_chat(Template(), tokenizer(dated)).turn.head.startswith("26 Jul 2024 26 Jul 2024\n")


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (None, "found none; leave --chat out"),
        ("{{ messages[0].content }}{{ messages[0].content }} ", "shows the user's text 2 times"),
        ("{{ messages[0].content }}", "writes nothing behind the user's text"),
        ("{{ raise_exception('only system messages') }}", "fails (only system messages)"),
    ],
)
def test_a_chat_template_that_can_not_be_used(template: str | None, found: str) -> None:
    with pytest.raises(icl.IclVectorsError, match="--chat: expected a tokenizer with") as raised:
        in_chat(Template(), tokenizer(template))
    assert found in str(raised.value)


def test_theta_and_its_answers_are_those_of_plain_pytorch(model: icl.Model, folder: Path) -> None:
    twin, reader = load_plain(folder), model.tokenizer
    theta = icl.extract(model, PAIRS, DUMMIES, chat=True)
    own = plain.theta(twin, [asked(reader, f"{LINES}{dummy}→") for dummy in DUMMIES])
    assert_close(theta.vectors, own, rtol=1e-4, atol=1e-4)

    frame = icl.apply_by_layer(model, theta, ["Spain", "Peru"])
    for row in frame.to_dict("records"):
        ids = asked(reader, f"{row['query']}→")
        logits = plain.injected_logits(twin, ids, row["layer"], own[row["layer"]])
        assert row["probability"] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-4)
        assert row["answer"] == _text(reader, int(logits.argmax()))
        regular = plain.next_token(twin, asked(reader, f"{LINES}{row['query']}→"))
        assert row["regular"] == _text(reader, regular)


def _text(reader: Any, token: int) -> str:
    text = str(reader.decode([token]))
    return text.strip() or text


@pytest.mark.usefixtures("drawn_once")
def test_a_sweep_in_a_chat_is_kept_apart_and_repeated(model: icl.Model, tmp_path: Path) -> None:
    few: dict[str, Any] = {"tasks": "to_upper", "dev": 4, "test": 4, "shots": 2}
    first = icl.sweep(model, chat=True, output=tmp_path / "a", **few)
    run = read_json(tmp_path / "a" / "run.json")
    assert run["turn"] == ["[user]\n", "</s>\n[assistant]\n", ""]
    assert run["experiments"]["sweep"]["configuration"]["chat"] is True
    page = write_report([tmp_path / "a"]).read_text("utf-8")
    assert "The prompts are in a user&#39;s turn of a chat." in page
    shown = icl.predictions(first).query("method == 'regular'")
    twin = load_plain(Path(model.reference))
    for row in shown.to_dict("records"):
        ids = list(model.tokenizer(row["prompt"])["input_ids"])
        head, tail = run["turn"][:2]
        text = row["prompt"].removeprefix(head).removesuffix(tail)
        assert ids == asked(model.tokenizer, text)
        token = plain.next_token(twin, ids)
        assert row["prediction"] == model.tokenizer.decode([token])
    vector = first.vectors["to_upper", 41]
    assert vector.turn == Turn(*run["turn"])
    loaded = icl.TaskVector.load(vector.save(tmp_path / "v.safetensors"))
    assert loaded.turn == vector.turn and torch.equal(loaded.vectors, vector.vectors)

    again = icl.sweep(model, first.experiment.Config.of_run(run, "sweep"))
    assert again.data["tasks"] == first.data["tasks"]
    bare = icl.sweep(model, output=tmp_path / "b", **few)
    run = read_json(tmp_path / "b" / "run.json")
    assert run["turn"] is None and run["experiments"]["sweep"]["configuration"]["chat"] is None
    assert bare.vectors["to_upper", 41].turn == Turn()
    with pytest.raises(icl.IclVectorsError, match="template, found turn"):
        vector - bare.vectors["to_upper", 41]
    with pytest.raises(icl.IclVectorsError, match="holds a run of another configuration"):
        icl.sweep(model, output=tmp_path / "a", **few)
