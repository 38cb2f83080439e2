"""Prompts in a user's turn: where the tokenizer's own chat template puts them, and the answer."""

from typing import Any

from jinja2 import TemplateError

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.template import Template, Turn

DAY = "26 Jul 2024"  # for templates that print the day: a run's prompts do not change with it
FIXED_DAY = "{% macro strftime_now(form) %}" + DAY + "{% endmacro %}"
USER, ASSISTANT = "⟪user⟫", "⟪assistant⟫"  # stand for what they say
EXPECTED = "--chat: expected a tokenizer with a chat template for a user's turn, found"


def in_chat(template: Template, tokenizer: Any) -> Template:
    """The template in a user's turn: the answer begins the assistant's, without thinking.

    Raises:
        IclVectorsError: the tokenizer has no chat template, or none of that form.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise IclVectorsError(
            f"{EXPECTED} none; leave --chat out, or open an instruction-tuned model."
        )
    asked = [{"role": "user", "content": USER}]
    prompt = _render(tokenizer, asked, add_generation_prompt=True)
    if (times := prompt.count(USER)) != 1:
        raise IclVectorsError(f"{EXPECTED} one that shows the user's text {times} times.")
    answered = _render(tokenizer, [*asked, {"role": "assistant", "content": ASSISTANT}])
    gap = answered.removeprefix(prompt).partition(ASSISTANT)[0]
    head, tail = prompt.split(USER)
    start = tokenizer.bos_token or ""
    if tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        head = head.removeprefix(start)  # the tokenizer adds it
    if not tail:
        raise IclVectorsError(f"{EXPECTED} one that writes nothing behind the user's text.")
    return Template(template.text, Turn(head, tail, "" if gap.strip() else gap))


def _render(tokenizer: Any, messages: list[dict[str, str]], **options: Any) -> str:
    try:
        template = tokenizer.get_chat_template()
        if "strftime_now" in template:
            template = FIXED_DAY + template
        found: str = tokenizer.apply_chat_template(
            messages,
            chat_template=template,
            tokenize=False,
            enable_thinking=False,
            date_string=DAY,
            **options,
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise IclVectorsError(f"{EXPECTED} one that fails ({error}).") from error
    return found
