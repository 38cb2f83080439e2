"""The paper's own figures (Hendel et al. 2023, the authors' published result tables).

They stand beside one's own numbers and are never shown as such.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperModel:
    """Means over 18 tasks; `best_layer` is that of the mean curve."""

    name: str
    n_layers: int
    baseline: float
    hypothesis: float
    regular: float
    best_layer: int

    @property
    def depth(self) -> float:
        return (self.best_layer + 1) / self.n_layers


MODELS = (
    PaperModel("LLaMA 7B", 32, 0.132, 0.776, 0.860, 14),
    PaperModel("LLaMA 13B", 40, 0.149, 0.793, 0.868, 15),
    PaperModel("LLaMA 30B", 60, 0.158, 0.783, 0.902, 18),
    PaperModel("GPT-J 6B", 28, 0.119, 0.679, 0.814, 13),
    PaperModel("Pythia 2.8B", 32, 0.134, 0.717, 0.829, 13),
    PaperModel("Pythia 6.9B", 32, 0.106, 0.712, 0.818, 13),
    PaperModel("Pythia 12B", 36, 0.114, 0.732, 0.819, 12),
)
DEPTHS = min(model.depth for model in MODELS), max(model.depth for model in MODELS)

# baseline, hypothesis, regular over all models
CATEGORIES = {
    "algorithmic": (0.16, 0.80, 0.89),
    "translation": (0.13, 0.61, 0.76),
    "linguistic": (0.13, 0.81, 0.89),
    "knowledge": (0.08, 0.72, 0.82),
}
OVERALL = (0.130, 0.742, 0.844)
RECOVERED = 0.88

# LLaMA 13B: accuracy on A and on B, without and with θ of B
CONFLICTS = {
    ("next_letter", "to_upper"): (0.91, 0.00, 0.10, 0.77),
    ("list_last", "list_first"): (0.95, 0.05, 0.20, 0.78),
    ("prev_letter", "next_letter"): (0.51, 0.14, 0.08, 0.74),
    ("present_simple_past_simple", "present_simple_gerund"): (0.98, 0.00, 0.01, 0.97),
    ("en_es", "en_fr"): (0.93, 0.04, 0.91, 0.07),
}

# top tokens as sets; their order differs between the authors' own tables
VOCABULARY = {
    "prev_letter": "GPT-J: b, c, v, g, s, name; LLaMA 13B: alphabet, preceding",
    "present_simple_gerund": "GPT-J: getting, working, storing, playing, making, doing, moving",
    "country_capital": (
        "GPT-J: London, Paris, Berlin, Tokyo, East, West; "
        "LLaMA 13B: Paris, Madrid, cities, capital, central"
    ),
    "fr_en": "LLaMA 13B: dictionary, engl",
}

# tasks that a reader would call similar; where both were run they should be mutual neighbours
NATURAL_PAIRS = (
    ("fr_en", "es_en"),
    ("en_fr", "en_es"),
    ("present_simple_gerund", "present_simple_past_simple"),
    ("next_letter", "prev_letter"),
    ("to_upper", "to_lower"),
    ("list_first", "list_last"),
)
