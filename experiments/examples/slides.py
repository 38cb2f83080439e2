"""The example of the paper's figure: what "Apple→Red, Lime→Green" teaches, applied to other fruit.

Run it with: python experiments/examples/slides.py
"""

import icl_vectors as icl

FRUIT = {"Apple": "Red", "Lime": "Green"}
CAPITALS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo", "Italy": "Rome", "Peru": "Lima"}

model = icl.load_model("gemma-3-270m")

# A(S): θ is read at the last arrow of "Apple→Red ↵ Lime→Green ↵ Plum→"
theta = icl.extract(model, FRUIT, dummies=["Plum"])

# f(x; θ): "Corn→" alone, θ injected at one block. A colour, but at the blocks where θ works it is
# not corn's; later blocks hold Plum's own answer, whatever is asked.
for layer in (5, 10, 14):
    answers = icl.apply(model, theta, ["Corn", "Banana", "Blood"], layer=layer, max_new_tokens=1)
    print(f"block {layer:>2}: Corn, Banana, Blood → {', '.join(answers)}")

# The same with a task that a model of this size knows
theta = icl.extract(model, CAPITALS, dummies=["Kenya", "Cuba"])
for query, answer in zip(
    ("Spain", "Germany", "Greece"),
    icl.apply(model, theta, ["Spain", "Germany", "Greece"], layer=10),
    strict=True,
):
    print(f"{query} → {answer}")
