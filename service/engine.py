"""The engine: stored nodes by look-up, unseen nodes by one small step a layer.

Usable without HTTP:

    engine = Engine.open(Path("runs/demo/bundle"))
    engine.classify([Node(id="curl"), Node(text="a fast JSON parser", neighbors=("libc6",))])
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle import Manifest, open_bundle
from service.errors import BundleMismatchError, InferenceError
from service.limits import Limits
from service.messages import Node, Prediction
from service.predictions import assemble, joined_logits
from service.resolution import Resolution, UnseenNode, resolve
from service.state import GraphState, open_state
from service.student import Inference, Student, load_student

# A node sent as if unseen must get its stored logits; providers differ in the last digits.
PROBE_TOLERANCE = 1e-2
PROBE_DEGREE = 4


class Engine:
    """Classifies nodes of one bundle's graph; safe to share between threads."""

    def __init__(
        self, manifest: Manifest, state: GraphState, student: Student, limits: Limits, provider: str
    ) -> None:
        """Assembles an engine from parts; `open` reads them from a bundle."""
        self.manifest = manifest
        self.model_version = manifest.version
        self.state = state
        self.student = student
        self.limits = limits
        self.provider = provider

    @classmethod
    def open(
        cls, folder: Path, threads: int = 1, provider: str = "cpu", limits: Limits | None = None
    ) -> "Engine":
        """Opens a bundle, verifies it whole and runs a first inference.

        Args:
            threads: of one inference.
            provider: cpu or cuda.

        Raises:
            BundleError: missing, damaged, of a newer schema, or no such provider.
            GraphError: the graph in it is damaged.
            BundleMismatchError: its parts do not belong together.
        """
        bundle = open_bundle(folder)
        state = open_state(bundle)
        student = load_student(bundle, threads, provider)
        engine = cls(bundle.manifest, state, student, limits or Limits(), provider)
        try:
            engine.probe()
        except InferenceError as error:
            raise BundleMismatchError(f"the bundle fails its first inference: {error}") from error
        return engine

    def classify(self, nodes: Sequence[Node], top_k: int = 1) -> list[Prediction]:
        """Classifies stored and unseen nodes.

        Returns:
            One prediction a node, in order; a bad node's has its `error` set.

        Raises:
            InferenceError: the networks gave no usable answer.
        """
        resolution = self.resolve(nodes)
        inference = self.infer(resolution) if resolution.unseen else None
        return self.predict(nodes, resolution, inference, top_k)

    def logits(self, nodes: Sequence[Node]) -> NDArray[np.float32]:
        """The scores before calibration; float32 [B, classes].

        Raises:
            NodeError: the first bad node's.
            InferenceError: the networks gave no usable answer.
        """
        resolution = self.resolve(nodes)
        for error in resolution.errors.values():
            raise error
        inference = self.infer(resolution) if resolution.unseen else None
        logits = joined_logits(resolution, inference)
        result = np.empty_like(logits)
        result[resolution.positions] = logits
        return result

    def resolve(self, nodes: Sequence[Node]) -> Resolution:
        """Sorts a request out against the graph as it stands now."""
        return resolve(self.state, nodes, self.limits)

    def infer(self, resolution: Resolution) -> Inference:
        """Runs the unseen nodes of a request; the slow step, to be kept off an event loop."""
        return self.student.infer(resolution.state, resolution.unseen)

    def predict(
        self,
        nodes: Sequence[Node],
        resolution: Resolution,
        inference: Inference | None,
        top_k: int,
    ) -> list[Prediction]:
        """The predictions of a request whose unseen nodes, if any, were inferred."""
        return assemble(
            nodes,
            resolution,
            joined_logits(resolution, inference),
            self.manifest.label_names,
            self.manifest.calibration.temperature,
            top_k,
        )

    def probe(self) -> None:
        """Runs a stored node as if it were unseen and compares with its stored logits.

        Raises:
            InferenceError: the networks fail, or do not reproduce the stored answer.
        """
        state = self.state
        node = int(np.abs(state.adjacency.degrees - PROBE_DEGREE).argmin())
        neighbors = state.adjacency.neighbors(node).astype(np.int64)
        unseen = UnseenNode(state.graph.texts[node].as_py(), neighbors)
        expected = state.logits[node]
        difference = np.abs(self.student.infer(state, [unseen]).logits[0] - expected).max()
        if difference > PROBE_TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise InferenceError(
                f"a stored node sent as unseen differs from its stored scores by {difference:.3g}"
            )
