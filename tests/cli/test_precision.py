import json
from math import comb
from pathlib import Path
from typing import Any

import pytest
import torch

from icl_vectors.cli.main import run
from icl_vectors.report.dtypes.paired import compare_precisions
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.reading import read_run
from icl_vectors.scoring import exact_mcnemar
from icl_vectors.vectors.vector import TaskVector
from tests.cli.conftest import Command
from tests.report.parts import draw_once
from tests.tiny import N_LAYERS

SMALL = "--dev 4 --test 8 --tasks list_first,to_upper"
DTYPES = ("float32", "bfloat16")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> list[Path]:
    both = tmp_path_factory.mktemp("precision") / "both"
    with pytest.MonkeyPatch.context() as patch:
        draw_once(patch)
        asked = f"{SMALL} --dtype {','.join(DTYPES)}".split()
        assert run(["sweep", "--model", str(llama_folder), *asked, "-o", str(both)]) == 0
    return [both / f"tiny-llama-{dtype}" for dtype in DTYPES]


def test_several_dtypes_give_a_folder_each_and_one_report(runs: list[Path]) -> None:
    for one in runs:
        assert (one / "results.json").is_file() and (one / "report.html").is_file()
    both = runs[0].parent
    page = (both / "report.html").read_text("utf-8")
    assert "Precision against precision" in page
    assert "θ of one precision injected into another" in page
    assert "McNemar" in page
    tables = {file.stem for file in (both / "tables").glob("*.md")}
    assert tables >= {"precision", "precision_paired", "precision_tasks", "precision_cross"}
    crossed = json.loads((both / "precision.json").read_text("utf-8"))
    assert len(crossed["cells"]) == 2 * 2 * 2


def test_pairs_are_counted_as_by_hand_from_the_samples(runs: list[Path]) -> None:
    reference, other = compare_precisions([read_run(one) for one in runs], runs)
    assert (reference.dtype, other.dtype) == DTYPES
    before, after = (samples(one) for one in runs)
    assert [one["id"] for one in before] == [one["id"] for one in after]
    found = other.paired["hypothesis"]
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a["method"] == "hypothesis"]
    assert len(pairs) == 16
    assert found.lost == sum(a["correct"] and not b["correct"] for a, b in pairs)
    assert found.won == sum(b["correct"] and not a["correct"] for a, b in pairs)
    same = [a["prediction"] == b["prediction"] for a, b in pairs]
    assert found.agreement == pytest.approx(sum(same) / 16)
    assert found.accuracy.accuracy == pytest.approx(sum(b["correct"] for _, b in pairs) / 16)
    assert reference.paired["hypothesis"].agreement == 1


def samples(folder: Path) -> list[dict[str, Any]]:
    return [one for one in read_lines(folder / "samples.jsonl") if one["split"] == "test"]


def test_cosines_are_those_of_the_saved_vectors(runs: list[Path]) -> None:
    _, other = compare_precisions([read_run(one) for one in runs], runs)
    for task, cosines in other.cosines.items():
        files = [one / "vectors" / f"{task}.seed41.safetensors" for one in runs]
        one, two = (TaskVector.load(file).vectors.double() for file in files)
        assert cosines == pytest.approx(torch.cosine_similarity(one, two).tolist())
        assert len(cosines) == N_LAYERS and min(cosines) < 1


def test_runs_that_differ_otherwise_are_not_paired(runs: list[Path], command: Command) -> None:
    assert command.tiny(f"sweep {SMALL} --dtype bfloat16 -o other --seed 7").code == 0
    places = [runs[0], Path("other")]
    assert compare_precisions([read_run(place) for place in places], places) == []
    assert compare_precisions([read_run(runs[0])] * 2, [runs[0]] * 2) == []


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (0, 12)])
def test_mcnemar_is_a_fair_coin_on_the_pairs_that_differ(lost: int, won: int) -> None:
    n, least = lost + won, min(lost, won)
    tail = sum(comb(n, k) for k in range(least + 1)) / 2**n
    assert exact_mcnemar(lost, won) == pytest.approx(min(1.0, 2 * tail))
