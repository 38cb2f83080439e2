"""transformers 5.23 names a task's pipeline as text, in which nnsight 0.8.1 looks for attributes.

Without this the server builds a model without a tokenizer, and every deployment fails.
"""

import importlib
from typing import Any

from nnsight.modeling.transformers import _PREPROCESSORS, TransformersModel
from transformers.pipelines import check_task


def _loaded_preprocessors(self: Any) -> set[str]:
    made = check_task(self.task)[1]["impl"]
    if isinstance(made, str):
        module, _, name = made.rpartition(".")
        made = getattr(importlib.import_module(module), name)
    return {kind for kind in _PREPROCESSORS if getattr(made, f"_load_{kind}", False)}


TransformersModel._loaded_preprocessors = _loaded_preprocessors
