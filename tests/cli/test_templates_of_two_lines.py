import torch

import icl_vectors as icl
from icl_vectors.runs.folder import read_json
from tests.cli.conftest import Command
from tests.tiny import bytes_tokenizer, load_plain

TWO_LINES = r"--template 'Q: {input}\nA: {output}'"  # as it is in single quotes in a shell
SHOWN = "Q: France\nA: Paris\nQ: Japan\nA: Tokyo\n"


def test_a_vector_of_a_template_of_two_lines_is_that_of_plain_pytorch(command: Command) -> None:
    demos = "--demo France→Paris --demo Japan→Tokyo --dummy Kenya --dummy Cuba"
    made = command.tiny(f"extract {demos} {TWO_LINES} -o t.safetensors")
    assert made.code == 0, made.err
    theta = icl.TaskVector.load("t.safetensors")
    assert theta.template == "Q: {input}\nA: {output}"
    plain, tokenizer = load_plain(command.model), bytes_tokenizer()
    states = []
    for dummy in ("Kenya", "Cuba"):
        ids = tokenizer(f"{SHOWN}Q: {dummy}\nA:", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            found = plain(ids, output_hidden_states=True).hidden_states
        states.append(torch.stack([state[0, -1] for state in found[1:-1]]))  # (layer, hidden)
    assert torch.allclose(theta.vectors[:-1], torch.stack(states).mean(0), atol=1e-5)


def test_a_sweep_with_such_a_template_records_it(command: Command) -> None:
    sweep = f"sweep --tasks to_upper {TWO_LINES}"
    run = command.tiny(f"{sweep} --dev 2 --test 2 --quiet -o run")
    assert run.code == 0, run.err
    assert read_json(command.place / "run/run.json")["template"] == "Q: {input}\nA: {output}"
    alone = command.tiny(f"{sweep} --show-prompt").out.split("query alone")[1].splitlines()[1]
    assert alone.endswith(r"[\n] [A] ⟦:⟧")
