"""What the page asks for, on the server: what it gives here."""

import pytest

from icl_vectors.explore import bench
from icl_vectors.explore.bench import USES, Asked, Bench
from icl_vectors.models.load import Model

A = Bench((("a", "A"), ("b", "B"), ("c", "C")), ("d", "e"))
B = Bench((("f", "g"), ("h", "i"), ("j", "k")), ("l", "m"))


@pytest.mark.parametrize("use", USES)
def test_the_page_shows_of_a_server_what_it_shows_here(
    remote_llama: Model, llama: Model, use: str
) -> None:
    asked = Asked(A, B, use, ("n", "o"), "{input}→{output}", "replace", 1.0, "all", "1,2")
    there, here = bench.run(remote_llama, asked), bench.run(llama, asked)
    kept = ["query", "layer", "answer", "echo", "baseline"]
    assert there.frame[kept].equals(here.frame[kept])
    assert there.frame["probability"].to_numpy() == pytest.approx(here.frame["probability"])
    assert there.together == here.together
    assert there.cosines == pytest.approx(here.cosines, abs=1e-4)
    assert bench.answer(remote_llama, there, "n", 2) == bench.answer(llama, here, "n", 2)
    shown = [
        bench.words(model, one)["token"] for model, one in ((remote_llama, there), (llama, here))
    ]
    assert shown[0].equals(shown[1])
