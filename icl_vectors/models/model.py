"""An open model: nnsight's envoys of it, its tokenizer, and where its weights are."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnsight.intervention.iterator import Iterations

from icl_vectors.graph.passes import BlockOfLoop
from icl_vectors.models.architecture import Architecture, text_config
from icl_vectors.models.embedded import EMBEDDED
from icl_vectors.prompts.batches import Way
from icl_vectors.remote.job import Job


@dataclass(frozen=True, eq=False)
class Model:
    """A decoder-only language model that nnsight has opened.

    Attributes:
        nnsight: the nnsight model; it is left as it was.
        reference: what the user called it.
        fingerprint: the checkpoint's commit, or a hash of its configuration, weight shapes and
            samples of the weights; the same for every dtype.
        dtype: what the weights are held in: float32, bfloat16, float16, int8, nf4 or fp4.
        weights: a remark on where the weights come from ("" for an ordinary checkpoint).
        folder: where the weights lie on this machine, or None.
        base: of an adapter, its base model: reference, revision and the kind of adapter; else None.
        host: the NDIF server that holds the weights, or None: they are here. in_flight: how many
            jobs of an experiment are there at once.
        way: how it takes prompts, cached or whole, as `probe` found; way_reason: why it is
            not cached.
        hidden: width of the states, as measured; with parallel streams that of all together.
    """

    nnsight: Any
    tokenizer: Any
    reference: str
    revision: str | None
    fingerprint: str
    dtype: str
    weights: str
    folder: Path | None
    architecture: Architecture
    base: dict[str, Any] | None = None
    host: str | None = None
    in_flight: int = 1
    way: Way = field(default=None)  # type: ignore[assignment]
    way_reason: str = ""
    hidden: int = 0

    def __post_init__(self) -> None:
        if self.way is None:
            object.__setattr__(self, "way", Way(self.architecture.takes_positions))
        if not self.hidden:
            object.__setattr__(self, "hidden", self.architecture.hidden)

    def session(self, job: Job | None = None) -> Any:
        """A session of nnsight's: run here, or sent whole to the server as one job."""
        if self.host is None:
            return self.nnsight.session()
        from icl_vectors.remote.backend import PatientBackend

        return self.nnsight.session(PatientBackend(self.nnsight, self.host, job or Job()))

    @property
    def config(self) -> Any:
        return text_config(self.nnsight._module.config)

    @property
    def n_heads(self) -> int:
        return self.architecture.heads

    @property
    def vocab_size(self) -> int:
        """Rows of the unembedding."""
        return int(self.nnsight._module.get_output_embeddings().weight.shape[0])

    @property
    def is_from_folder(self) -> bool:
        """Whether `reference` is a folder's path: no hub id, no embedded model's name."""
        return self.folder is not None and self.reference not in EMBEDDED

    @property
    def n_layers(self) -> int:
        return len(self.architecture.blocks)

    @property
    def device(self) -> str:
        if self.host is not None:
            return "remote"
        return str(next(self.nnsight._module.parameters()).device)

    @property
    def blocks(self) -> list[Any]:
        """nnsight's envoys of the decoder blocks, block 0 first; with loops, one for each run."""
        paths = self.architecture.blocks
        if not self.architecture.has_loops:
            return [self.envoy(path) for path in paths]
        return [
            BlockOfLoop(self.envoy(path), Iterations()[paths[:at].count(path)])
            for at, path in enumerate(paths)
        ]

    @property
    def head(self) -> Any:
        """nnsight's envoy of the unembedding."""
        return self.envoy(self.architecture.head)

    def envoy(self, path: str) -> Any:
        """nnsight's envoy of a module, which keeps `output` for what a module gives."""
        parts = ["E_output" if part == "output" else part for part in path.split(".")]
        return self.nnsight.get(".".join(parts))

    def __repr__(self) -> str:
        return (
            f"Model({self.reference!r}, dtype={self.dtype}, device={self.device}, "
            f"layers={self.n_layers}, hidden={self.hidden})"
        )
