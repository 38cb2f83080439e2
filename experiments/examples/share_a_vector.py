"""A vector made here, kept in a folder with a card, and used again from there.

Run it with: python experiments/examples/share_a_vector.py [FOLDER]
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import icl_vectors as icl

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(mkdtemp()) / "shared"

model = icl.load_model("gemma-3-270m")
task = icl.load_task("present_simple_gerund")
theta = icl.extract(model, task, prompts=10, layers="11")  # the mean over ten prompts

# push_to="user/name" would also push the folder to the Hugging Face hub
icl.share([theta], folder)
print((folder / "README.md").read_text("utf-8"))

# what another user does with the folder
(file,) = folder.glob("*.safetensors")
loaded = icl.TaskVector.load(file)
print(loaded)
print(icl.apply(model, loaded, ["walk", "sing", "write"], max_new_tokens=2))
