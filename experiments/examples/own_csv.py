"""Your own CSV as a task: how much of in-context learning does one vector carry there?

Run it with: python experiments/examples/own_csv.py [FILE.csv]
Without a file it writes a small one: nouns and their plurals.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import icl_vectors as icl

NOUNS = "cat dog house tree book river window garden letter table cloud bottle mountain finger"

if len(sys.argv) > 1:
    file = Path(sys.argv[1])
else:
    rows = [f"{noun},{noun}s" for noun in NOUNS.split()]
    file = Path(mkdtemp()) / "plurals.csv"
    file.write_text("input,output\n" + "\n".join(rows) + "\n", "utf-8")

task = icl.Task.from_file(file)
model = icl.load_model("gemma-3-270m")
results = icl.sweep(model, [task], shots=4, dev=8, test=8)

frame = results.to_pandas()
test = frame[frame["split"] == "test"]
print(test[["task", "method", "layer", "accuracy", "n"]].to_string(index=False))
