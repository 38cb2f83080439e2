"""Run folders made of invented numbers, with every experiment of the paper in them."""

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

from icl_vectors.scoring import wilson

CATEGORIES = {
    "algorithmic": ("next_letter", "prev_letter", "list_first", "list_last", "to_upper",
                    "to_lower"),
    "translation": ("fr_en", "en_fr", "es_en", "en_es"),
    "linguistic": ("present_simple_gerund", "present_simple_past_simple", "plural_singular",
                   "antonyms"),
    "knowledge": ("country_capital", "person_language", "location_continent",
                  "location_religion"),
}  # fmt: skip
TASKS = [(task, category) for category, tasks in CATEGORIES.items() for task in tasks]
PAIRS = [("fr_en", "es_en"), ("en_fr", "en_es"),
         ("present_simple_gerund", "present_simple_past_simple"), ("next_letter", "prev_letter"),
         ("to_upper", "to_lower"), ("list_first", "list_last")]  # fmt: skip


def share(hits: int, n: int = 50) -> dict[str, float]:
    low, high = wilson(hits, n)
    return {"accuracy": hits / n, "low": low, "high": high}


def task_entry(
    task: str,
    category: str,
    *,
    hits: tuple[int, int, int] = (5, 38, 42),
    n_layers: int = 18,
    peak: int = 9,
    seed: int = 41,
    n: int = 50,
    copies: bool = False,
) -> dict[str, Any]:
    curve = [
        round(max(0.02, hits[1] / n * math.exp(-((layer - peak) ** 2) / 6)), 3)
        for layer in range(n_layers)
    ]
    return {
        "task": task, "category": category, "seed": seed, "n_test": n, "n_dev": n,
        "n_distinct": n, "n_dev_queries_in_test": 0, "n_echo": 0,
        "baseline": share(hits[0], n), "hypothesis": share(hits[1], n),
        "regular": share(hits[2], n), "best_layer": peak, "dev_accuracy_by_layer": curve,
        "dev_copied_by_layer": [0.0] * n_layers,
        "copied": {"hypothesis": share(0, n), "regular": share(0, n)}, "copies_dummies": copies,
    }  # fmt: skip


def conflict_entry(
    a: str, b: str, regular: tuple[int, int] = (45, 1), injected: tuple[int, int] = (2, 40)
) -> dict[str, Any]:
    return {
        "a": a, "b": b, "layer": 9, "n": 50,
        "regular": {"a": share(regular[0]), "b": share(regular[1])},
        "injected": {"a": share(injected[0]), "b": share(injected[1])},
    }  # fmt: skip


def results(model: str = "gemma-3-270m", n_layers: int = 18, peak: int = 9) -> dict[str, Any]:
    draw = random.Random(7)
    entries = []
    for task, category in TASKS:
        regular = draw.randint(25, 50)
        hits = draw.randint(0, 6), max(12, regular - draw.randint(0, 9)), regular
        shifted = peak + draw.choice((-1, 0, 0, 0, 1))
        entries.append(task_entry(task, category, hits=hits, n_layers=n_layers, peak=shifted))
    return {
        "schema": 1,
        "model": model,
        "dtype": "float32",
        "n_layers": n_layers,
        "tasks": entries,
        "summary": {"baseline": 0.06, "hypothesis": 0.7, "regular": 0.75, "recovered": 0.93},
        "conflict": [
            conflict_entry("next_letter", "to_upper"),
            conflict_entry("list_last", "list_first", (40, 2), (0, 50)),
            conflict_entry("prev_letter", "next_letter", (22, 6), (8, 30)),
            conflict_entry("present_simple_past_simple", "present_simple_gerund"),
            conflict_entry("en_es", "en_fr", (40, 2), (38, 3)),
        ],
        "cluster": cluster(),
        "vocabulary": [
            vocabulary_entry("country_capital", ["Paris", " Madrid", "首都", "Hauptstadt"]),
            vocabulary_entry("prev_letter", [" b", "c\n", "|", "_x"]),
        ],
        "of_a_later_version": [{"anything": 1}],
    }


def cluster() -> dict[str, Any]:
    names = [task for task, _ in TASKS]
    partner = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
    partner |= {"plural_singular": "antonyms", "antonyms": "plural_singular"}
    partner |= {"country_capital": "location_continent", "location_continent": "country_capital"}
    nearest = {task: partner.get(task, "country_capital") for task in names}
    category = dict(TASKS)

    def distance(a: str, b: str) -> float:
        if a == b:
            return 0.05
        if partner.get(a) == b:
            return 0.2
        return 0.4 if category[a] == category[b] else 0.7

    return {
        "layer": 9, "per_task": 12, "silhouette": 0.35, "within": 0.05, "between": 0.6,
        "nearest": nearest, "tasks": names,
        "distances": [[distance(a, b) for b in names] for a in names],
        "histogram": {
            "edges": [round(0.05 * step, 2) for step in range(21)],
            "within": [30, 60, 20, 5] + [0] * 16,
            "between": [0, 2, 5, 20, 40, 60, 80, 120, 160, 200, 220, 240, 260, 300, 280, 200, 90,
                        40, 10, 2],
        },
        "silhouette_by_layer": {str(layer): round(0.35 - 0.03 * abs(layer - 9), 3)
                                for layer in range(18)},
    }  # fmt: skip


def vocabulary_entry(task: str, tokens: list[str], in_outputs: int | None = 0) -> dict[str, Any]:
    return {
        "task": task,
        "layer": 11,
        "tokens": [{"token": token, "probability": 0.2 / i} for i, token in enumerate(tokens, 1)],
        "baseline": [{"token": "the", "probability": 0.1}],
        "added": [{"token": token, "difference": 0.1 / i} for i, token in enumerate(tokens, 1)],
        "in_outputs": in_outputs,
    }


def about(model: str = "gemma-3-270m", n_layers: int = 18, fingerprint: str = "b9aa2db0") -> Any:
    return {
        "schema": 1,
        "model": {
            "reference": model, "revision": None, "fingerprint": fingerprint, "dtype": "float32",
            "weights": "dequantised from 4-bit Q4_K_M", "type": "gemma3_text",
            "n_layers": n_layers, "hidden_size": 640,
        },
        "template": "{input}→{output}",
        "experiments": {
            "sweep": {
                "started": "2026-01-01T00:00:00+00:00",
                "configuration": {
                    "tasks": {task: f"hash{i}" for i, (task, _) in enumerate(TASKS)},
                    "seeds": [41], "shots": 5, "dummies": 2, "dev": 50, "test": 50,
                    "layers": list(range(n_layers)), "answer": "first-token",
                },
                "peak_memory_bytes": 2_000_000_000,
                "finished": "2026-01-01T00:10:00+00:00",
                "seconds": 600.0,
            }
        },
        "versions": {"icl_vectors": "0.1.0", "torch": "2.13.0+cpu"},
        "device": "cpu",
        "host": None,
    }  # fmt: skip


def write_folder(folder: Path, data: dict[str, Any], run: Any = None) -> Path:
    """A whole run folder: results, provenance, points, prompts, samples, records."""
    folder.mkdir(parents=True)
    run = about() if run is None else run
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    (folder / "results.json").write_text(json.dumps(data), "utf-8")
    write_points(folder / "cluster.csv")
    prompts, samples, records = [], [], []
    for entry in data["tasks"]:
        unit = {"task": entry["task"], "seed": entry["seed"]}
        identity = f"{entry['task']}-41-test-0000"
        prompts.append({"id": identity, **unit, "split": "test", "query": "x", "answers": ["y"]})
        for method in ("baseline", "hypothesis", "regular"):
            samples.append(
                {
                    "id": identity,
                    **unit,
                    "split": "test",
                    "method": method,
                    "layer": None,
                    "prediction": " y",
                    "correct": method != "baseline",
                }
            )
        records.append({"event": "done", "experiment": "sweep", **unit, "result": entry})
    for name, lines in (("prompts", prompts), ("samples", samples), ("records", records)):
        write_lines(folder / f"{name}.jsonl", lines)
    return folder


def write_lines(path: Path, lines: list[Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def write_points(path: Path, per_task: int = 12) -> None:
    draw = random.Random(3)
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["task", "category", "index", "tsne_x", "tsne_y", "pca_x", "pca_y"])
        for task, category in TASKS:
            x, y = draw.uniform(-40, 40), draw.uniform(-40, 40)
            for index in range(per_task):
                at = [
                    x + draw.gauss(0, 2),
                    y + draw.gauss(0, 2),
                    x / 20 + draw.gauss(0, 0.6),
                    y / 20 + draw.gauss(0, 0.6),
                ]
                rows.writerow([task, category, index, *(round(one, 4) for one in at)])
