"""What a run's folder says of the model and of where its results come from.

Whether a folder may be gone on with is decided in `runs/folder.py` (`_agreed`).
"""

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from icl_vectors.prompts.template import Template
from icl_vectors.version import VERSION

if TYPE_CHECKING:
    from icl_vectors.models.model import Model


def identity_of(model: "Model", template: Template) -> dict[str, Any]:
    """What all experiments of a folder share."""
    return {
        "model": {
            "reference": model.reference,
            "revision": model.revision,
            "from_folder": model.is_from_folder,
            "fingerprint": model.fingerprint,
            "dtype": model.dtype,
            "weights": model.weights,
            "base": model.base,
            "type": model.config.model_type,
            "n_layers": model.n_layers,
            "hidden_size": model.hidden,
        },
        "template": template.text,
        "turn": list(template.turn) if template.turn.tail else None,  # of a chat
    }


def provenance_of(model: "Model") -> dict[str, Any]:
    """Where the results come from, beyond what decides them."""
    packages = ("torch", "transformers", "nnsight")
    versions = {"icl_vectors": VERSION, "python": platform.python_version()}
    return {
        "versions": {**versions, **{package: version(package) for package in packages}},
        "device": model.device,
        "path": {"name": model.way.name, "reason": model.way_reason},
        "platform": platform.platform(),
        "host": model.host,
    }
