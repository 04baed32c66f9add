"""The engine: looks up stored nodes, infers unseen nodes layer by layer, applies graph changes.

Usable without HTTP:

    with Engine.open(Path("runs/demo/bundle"), data=Path("runs/demo/data")) as engine:
        engine.classify([Node(id="curl"), Node(text="a fast JSON parser", neighbors=("libc6",))])
        engine.apply([UpsertNode("jq2", "a fast JSON parser"), AddEdge("jq2", "libc6")])
        engine.classify([Node(id="jq2")])

See docs/concepts/engine.md.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from understudy.bundle import Manifest
from understudy.engine import arguments
from understudy.engine.errors import (
    BundleMismatchError,
    EngineError,
    InferenceError,
    JournalFailedError,
    NotReadyError,
)
from understudy.engine.following import Following
from understudy.engine.limits import Limits
from understudy.engine.maintenance import Maintenance, weakly
from understudy.engine.opening import Opening, open_heir, open_parts
from understudy.engine.probing import probe
from understudy.engine.requests import (
    PREDICTIONS,
    Form,
    Made,
    Prediction,
    QueryNode,
    Resolution,
    assemble,
    joined_logits,
    resolve,
)
from understudy.engine.snapshots import Snapshots, is_long
from understudy.engine.state import GraphState
from understudy.engine.student import Inference, Student
from understudy.engine.updates.replica import Lag
from understudy.engine.updates.tickets import Applied
from understudy.engine.updates.writer import Writer
from understudy.engine.uploads import Uploads
from understudy.graph.agreement import agreement
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutations import Mutation
from understudy.progress import Progress, silent

logger = logging.getLogger(__name__)

ENTRIES_KEPT = 65_536  # changed neighbour lists, before they are merged into the base lists
RECORDS_KEPT = 10_000  # batches in the journal, before a snapshot replaces them


class Engine:
    """Classifies nodes of one graph and changes the graph; safe to share between threads."""

    def __init__(
        self,
        manifest: Manifest,
        writer: Writer,
        student: Student,
        limits: Limits,
        provider: str,
        data: Path | None = None,
        kept: bool = True,
    ) -> None:
        """Assembles an engine from its parts; `open` reads them from a bundle."""
        self.manifest, self.model_version = manifest, manifest.version
        self.writer = writer
        self.student = student
        self.limits = limits
        self.provider = provider
        self.kept = kept
        self.snapshots = None if data is None else Snapshots(data, manifest, writer)
        self.uploads = Uploads(data, writer)
        self.maintenance = Maintenance(weakly(self.maintain))
        writer.noticed = self.maintenance.notice
        finalize(self, self.maintenance.end)
        self.following = Following(writer.log, weakly(self.follow))
        finalize(self, self.following.end)
        finalize(self, self.uploads.thread.end)
        self.uploads.notice()

    @classmethod
    def open(
        cls,
        folder: Path | str,
        threads: int = 1,
        provider: str = "cpu",
        limits: Limits | None = None,
        data: Path | str | None = None,
        progress: Progress = silent,
        log: RedisLogOptions | None = None,
        kept: bool = True,
        before: "Engine | None" = None,
    ) -> "Engine":
        """Opens a bundle, verifies its files, replays the journal and runs one probe inference.

        The bundle may be of any position of the graph: missing activations are computed.

        Args:
            threads: per inference.
            provider: cpu or cuda.
            data: folder of the log and the snapshots, created if missing, and shared by all engines
                of the machine that open it; without one, changes last as long as the engine.
            progress: called while activations that the bundle lacks are computed.
            log: location of a log that engines on several machines share; by default a file in
                `data`. Snapshots are kept in `data` in either case.
            kept: whether the data folder outlives the engines that share it.
            before: the engine that serves the same graph and keeps running; the new one follows its
                log, in the same data folder if any, and replaces it with `take_over`.

        Raises:
            BundleError: it is missing, damaged or of a newer schema, or no such provider.
            GraphError: the bundle's graph is damaged; or the log is locked, foreign or damaged.
            BundleMismatchError: parts of the bundle do not fit each other, or the bundle is of
                another graph than `before` serves.
            JournalFailedError: the log does not fit the graph.
            InvalidArgumentError: an argument has the wrong type, a log has no data folder, or the
                data folder lies in the bundle or contains it.
        """
        folder = arguments.folder_of("folder", folder)
        data = None if data is None else arguments.folder_of("data", data)
        arguments.check_opening(folder, limits, log, data)
        opening = Opening(arguments.whole_number("threads", threads), provider, progress)
        if before is None:
            parts = open_parts(folder, opening, data, log)
        else:
            parts = open_heir(folder, before.writer, before.manifest.graph.lineage, opening)
        manifest, writer, student = parts
        engine = cls(manifest, writer, student, limits or Limits(), provider, data, kept)
        try:
            engine.probe()
        except (InferenceError, NotReadyError) as error:
            engine.close()
            raise BundleMismatchError(f"the bundle's first inference failed: {error}") from error
        engine.notice_stale()
        return engine

    @property
    def state(self) -> GraphState:
        """The newest state; keep it to ask several questions of one version.

        Raises:
            NotReadyError: the served files are damaged, see `damage`.
        """
        if self.damage:
            raise NotReadyError(self.damage)
        return self.writer.state

    @property
    def damage(self) -> str:
        """What is wrong with the served files; empty if nothing is."""
        return self.writer.originals.damage

    @property
    def durable(self) -> bool:
        """Whether changes outlive this process and the processes that share them."""
        return self.kept and self.writer.log.durable

    def apply(self, mutations: Sequence[Mutation], key: str | None = None) -> Applied:
        """Changes the graph: all mutations or none.

        When it returns, the batch is on disk (with a data folder), every activation that layers
        read is up to date, and all later answers are of that version or a later one. If the change
        reaches many nodes, their logits are computed on demand or when idle.

        Args:
            mutations: applied in order; later ones may build on earlier ones.
            key: idempotency key: the same batch under the same key is applied once.

        Raises:
            InvalidArgumentError: an item or a value has the wrong type; it is named.
            MutationRefusedError, MutationTargetError: an item cannot be applied; it is named.
            KeyReusedError: the key was used for another batch.
            JournalFailedError: the journal cannot be written.
            InferenceError: the networks failed.
            NotReadyError: another bundle is taking this one's place.
        """
        batch = arguments.checked_batch(mutations, key, self.limits.text_characters)
        return self.writer.apply(batch, key)

    def submit(self, mutations: Sequence[Mutation], key: str | None = None) -> Future[Applied]:
        """Queues a change without waiting; see `apply`. Raises at once if it cannot be queued."""
        batch = arguments.checked_batch(mutations, key, self.limits.text_characters)
        return self.writer.submit(batch, key)

    def classify(self, nodes: Sequence[QueryNode], top_k: int = 1) -> list[Prediction]:
        """Classifies stored and unseen nodes.

        Returns:
            One prediction per node, in order; an invalid node's prediction has its `error` set.

        Raises:
            InvalidArgumentError: an argument has the wrong type; the message names it.
            InferenceError: the networks gave no usable answer.
        """
        return self.classify_as(PREDICTIONS, nodes, top_k)

    def classify_as(
        self, form: Form[Made], nodes: Sequence[QueryNode], top_k: int = 1
    ) -> list[Made]:
        """Classifies nodes like `classify`, with answers in the given form."""
        nodes = arguments.listed("nodes", nodes, arguments.NODES)
        top_k = arguments.whole_number("top_k", top_k)
        resolution = self.resolve(nodes)
        inference = self.infer(resolution) if resolution.unseen else None
        return self.predict(nodes, resolution, inference, top_k, form)

    def logits(self, nodes: Sequence[QueryNode]) -> NDArray[np.float32]:
        """Computes the logits before calibration; float32 [B, classes].

        Raises:
            NodeError: the error of the first invalid node.
            InferenceError: the networks gave no usable answer.
        """
        resolution = self.resolve(arguments.listed("nodes", nodes, arguments.NODES))
        for error in resolution.errors.values():
            raise error
        inference = self.infer(resolution) if resolution.unseen else None
        logits = joined_logits(resolution, inference)
        result = np.empty_like(logits)
        result[resolution.positions] = logits
        return result

    def resolve(self, nodes: Sequence[QueryNode]) -> Resolution:
        """Splits a request into stored, unseen and invalid nodes, at the current graph version."""
        try:
            return resolve(self.state, nodes, self.limits)
        except (AttributeError, TypeError):
            arguments.check_nodes(nodes)
            raise

    def infer(self, resolution: Resolution) -> Inference:
        """Runs a request's unseen nodes; many, or a transformer's, are slow for an event loop."""
        return self.student.infer(resolution.state, resolution.unseen)

    def predict(
        self,
        nodes: Sequence[QueryNode],
        resolution: Resolution,
        inference: Inference | None,
        top_k: int,
        form: Form[Made],
    ) -> list[Made]:
        """Makes the predictions of a request; `inference` covers its unseen nodes, if any."""
        return assemble(
            nodes,
            resolution,
            joined_logits(resolution, inference),
            self.manifest.label_names,
            self.manifest.calibration.temperature,
            top_k,
            form,
        )

    def agreements(
        self, resolution: Resolution, inference: Inference | None = None
    ) -> NDArray[np.float64]:
        """Computes the share of each node's neighbours that have the node's predicted label.

        Uses the request's version; see `understudy.graph.agreement`. float64 [B], in the order of
        `resolution.positions`.
        """
        state = resolution.state
        near: list[NDArray[np.integer]] = [state.graph.neighbors(r) for r in resolution.stored_rows]
        near += [node.neighbors for node in resolution.unseen]
        predicted = joined_logits(resolution, inference).argmax(axis=1)
        return agreement(predicted, near, state.best_labels)

    def probe(self) -> None:
        """Runs a stored node as if it were unseen and compares the result with its stored logits.

        Raises:
            InferenceError: the networks fail, or do not reproduce the stored logits.
        """
        probe(self.state, self.student)

    def follow(self) -> None:
        """Applies batches that others appended to the log; errors are kept in `failure`."""
        with suppress(EngineError):
            if not self.damage and self.writer.follow():
                self.maintenance.notice()

    def take_over(self, before: "Engine", swap: Callable[[], None]) -> None:
        """Replaces the engine `before`, at one version of the graph.

        This engine applies the changes that wait in `before`. `swap` directs readers to it.

        Raises:
            JournalFailedError, InferenceError: it cannot follow the graph; `before` goes on.
        """
        before.writer.hand_over(self.writer, swap)
        self.notice_stale()

    def notice_stale(self) -> None:
        """Schedules the computation of logits that following the log left stale."""
        if self.state.stale is not None:
            self.maintenance.notice()

    @property
    def failure(self) -> EngineError | None:
        """Why changes of other processes cannot be followed; None if they can."""
        return self.writer.failure

    @property
    def lag(self) -> Lag:
        """How far this engine may lag behind other processes' changes."""
        return self.writer.lag()

    def reach(self, version: int) -> Future[None]:
        """Makes a future, done once the graph has this or a later version, or at `close`."""
        arrival = self.writer.arrivals.enter(arguments.whole_number("version", version))
        self.writer.arrivals.reached(self.state.version)
        return arrival

    def settle(self) -> None:
        """Computes stale logits, and passes on the small changes that were deferred.

        Runs when idle; see docs/concepts/engine.md.

        Raises:
            InferenceError: the networks failed; results computed so far are kept.
        """
        self.writer.settle()

    def compact(self) -> None:
        """Merges changed neighbour lists into the base; runs when idle, once there are many."""
        self.writer.compact()

    def snapshot(self) -> None:
        """Writes graph and activations to the data folder and shortens the journal.

        Runs when idle; reads and writes continue meanwhile.

        Raises:
            JournalFailedError: there is no data folder, or the snapshot cannot be written; the
                journal stays as it is.
        """
        if self.snapshots is None:
            raise JournalFailedError("without a data folder there is no log to shorten")
        self.settle()
        self.snapshots.write()
        self.uploads.notice()

    def maintain(self) -> None:
        """Settles, compacts and writes a snapshot, when idle; stops settling at a new change."""
        if self.damage:
            return
        self.writer.settle(interrupted=self.maintenance.changed.is_set)
        self.writer.answer_waiting(rest=self.maintenance.rest)
        graph, log = self.state.graph, self.writer.log
        if graph.parts.lists.used > max(ENTRIES_KEPT, graph.num_edges // 8):
            self.compact()
        if log.durable and is_long(self.writer, RECORDS_KEPT):
            try:
                self.snapshot()
            except JournalFailedError as error:  # retried after the next change
                logger.warning("the log could not be shortened: %s", error)

    def close(self) -> None:
        """Waits for running work and closes the journal; reading remains possible."""
        self.maintenance.close()
        self.following.close()
        self.uploads.close()
        if self.snapshots is not None:
            self.snapshots.close()
        else:
            self.writer.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
