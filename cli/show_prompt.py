"""`--show-prompt`: one prompt of each kind with its tokens and the arrow marked."""

from typing import Any

from icl_vectors.cli.loading import calm_libraries
from icl_vectors.cli.terminal import show


def show_prompts(
    reference: str,
    revision: str | None,
    trust_remote_code: bool,
    config: Any,
) -> None:
    """Print a prompt of each kind of the first task; of the model, only the tokenizer loads."""
    calm_libraries(quiet=True)
    from icl_vectors.encoding import describe_prompt, encode_prompt
    from icl_vectors.limits import UNBOUNDED
    from icl_vectors.model_files import load_tokenizer
    from icl_vectors.prompts import sample_prompts

    tokenizer = load_tokenizer(reference, revision=revision, trust_remote_code=trust_remote_code)
    task, dummies = config.tasks[0], config.dummies
    prompt = sample_prompts(task, dev=1, test=1, shots=config.shots, dummies=dummies)[1][0]
    encoded = encode_prompt(tokenizer, config.template, prompt, UNBOUNDED)
    kinds = [("regular (query)", 0), *((f"θ (dummy {d})", d) for d in range(1, dummies + 1))]
    show(f"{task.name}, {reference}; the arrow is marked ⟦ ⟧\n")
    for name, index in kinds:
        ids = [*encoded.shared, *encoded.suffixes[index]]
        show(f"{name}, {len(ids)} tokens:\n  {describe_prompt(tokenizer, ids)}\n")
    show(f"baseline and hypothesis (query alone), {len(encoded.alone)} tokens:")
    show(f"  {describe_prompt(tokenizer, encoded.alone)}\n")
    firsts = ", ".join(repr(tokenizer.decode([token])) for token in encoded.accepted)
    show(f"accepted answers {', '.join(map(repr, prompt.answers))}; their first tokens: {firsts}")
