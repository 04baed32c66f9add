"""Sources of answers: a bundle opened in this process, or a service."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from understudy.client import (
    Client,
    Node,
    Prediction,
    RefusedError,
    Retries,
    Route,
    UnexpectedAnswerError,
)
from understudy.client.parts import NODE_ERRORS
from understudy.cluster.joining import joined
from understudy.predict.errors import ModelChangedError
from understudy.predict.rows import Answer, Row, failed
from understudy.progress import Progress

if TYPE_CHECKING:
    from understudy.engine import Engine

STUDENT_ROWS = 1_024  # rows per batch
TEACHER_ROWS = 32  # a teacher takes seconds per row, and every request has a deadline
TOO_LATE = "deadline_passed"
UNKNOWN = "unknown_node"
TEXT_COST = 8  # of a text, in units of a look-up
NEIGHBORS_A_COST = 16  # rows of neighbours that cost as much as a look-up, in time and memory
COST_AT_ONCE = 8_192  # in this process: about a thousand texts, or 100,000 rows of neighbours
COST_A_REQUEST = 1_024  # of a request, which must be answered before its deadline
PATIENCE = Retries(attempts=10, longest_pause=30.0)  # outlasts a restart of the service


def pieces(rows: Sequence[Row], most: int) -> Iterator[Sequence[Row]]:
    """Cuts rows into pieces that cost at most `most`, or are a single row."""
    start, sum_of_costs = 0, 0
    for number, row in enumerate(rows):
        cost = 1 if row.node is None or row.node.text is None else TEXT_COST
        cost += len(row.node.neighbors) // NEIGHBORS_A_COST if row.node else 0
        if number > start and sum_of_costs + cost > most:
            yield rows[start:number]
            start, sum_of_costs = number, 0
        sum_of_costs += cost
    if rows[start:]:
        yield rows[start:]


class Answerer(Protocol):
    """Answers batches of rows in their order; every row has a node."""

    model: str  # version of the model that answers
    batch: int  # rows per batch

    def answer_each(
        self, batches: Iterable[Sequence[Row]], top_k: int
    ) -> Iterator[Sequence[Answer]]: ...

    def stores(self, node_id: str) -> bool:
        """Whether the graph has a node of this id."""
        ...


class OneByOne(Answerer):
    """Answers batches one after the other."""

    def answer_each(
        self, batches: Iterable[Sequence[Row]], top_k: int
    ) -> Iterator[Sequence[Answer]]:
        """Yields the answers of each batch; see `answer`."""
        for rows in batches:
            yield self.answer(rows, top_k)

    @abstractmethod
    def answer(self, rows: Sequence[Row], top_k: int) -> list[Answer]: ...

    @abstractmethod
    def stores(self, node_id: str) -> bool: ...


class InProcess(OneByOne):
    """Answers from a bundle that is open in this process."""

    batch = STUDENT_ROWS

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.model = engine.model_version

    def answer(self, rows: Sequence[Row], top_k: int) -> list[Answer]:
        """Gives one answer per row.

        Raises:
            InferenceError: the networks gave no usable answer.
        """
        version = self.engine.state.version  # stays: this process does not change the graph
        predictions = (
            prediction
            for piece in pieces(rows, COST_AT_ONCE)
            for prediction in self.engine.classify([r.node or Node() for r in piece], top_k)
        )
        answers = []
        for row, found in zip(rows, predictions, strict=True):
            if found.error is not None:
                answers.append(failed(row, f"{found.error.code}: {found.error}"))
                continue
            top = tuple((entry.label, entry.score) for entry in found.top)
            answers.append(
                Answer(row.place, found.id, found.label, found.score, top, "student", version, None)
            )
        return answers

    def stores(self, node_id: str) -> bool:
        return bool(self.engine.state.rows([node_id])[0] >= 0)


class OverHttp(OneByOne):
    """Answers through a service."""

    def __init__(self, client: Client, route: Route) -> None:
        """Asks the service for its model version.

        Raises:
            ClientError: no service answers at the address.
        """
        self.client, self.route = client, route
        self.batch = STUDENT_ROWS if route == "student" else TEACHER_ROWS
        self.model = model_of(client)
        self.companion: Node | None = None  # a node known to be answered

    def answer(self, rows: Sequence[Row], top_k: int) -> list[Answer]:
        """Gives one answer per row.

        Raises:
            ClientError: the service refuses the request, or stays unreachable.
            ModelChangedError: another model answers than at the beginning.
        """
        return [
            answer
            for piece in pieces(rows, COST_A_REQUEST)
            for answer in self.answer_piece(piece, top_k)
        ]

    def stores(self, node_id: str) -> bool:
        """Asks for the node's answer, which a key that may classify is allowed to.

        Raises:
            ClientError: the service refuses the request otherwise, or stays unreachable.
        """
        try:
            answer = self.client.classify([Node(id=node_id)], "student", 1)
        except RefusedError as error:
            if error.code == UNKNOWN:
                return False
            raise
        return answer.predictions[0].error is None

    def answer_piece(self, rows: Sequence[Row], top_k: int) -> list[Answer]:
        """Asks in one request, or in two if it exceeds the service's deadline."""
        try:
            predictions, version = self.ask([row.node or Node() for row in rows], top_k)
        except RefusedError as error:
            if error.code == TOO_LATE and len(rows) > 1:
                return self.halved(rows, top_k)
            if error.code not in NODE_ERRORS:
                raise
            return self.explained(rows, top_k, error)
        return [
            answer_of(row, found, version) for row, found in zip(rows, predictions, strict=True)
        ]

    def halved(self, rows: Sequence[Row], top_k: int) -> list[Answer]:
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return [answer for half in halves for answer in self.answer_piece(half, top_k)]

    def explained(self, rows: Sequence[Row], top_k: int, error: RefusedError) -> list[Answer]:
        """Finds the error of each of several rows, none of which could be answered.

        A refusal names only the first error; together with an answerable node, each is named.
        """
        if len(rows) == 1:
            return [failed(rows[0], str(error))]
        if self.companion is not None:
            nodes = [self.companion, *(row.node or Node() for row in rows)]
            predictions, version = self.ask(nodes, top_k)
            return [answer_of(r, p, version) for r, p in zip(rows, predictions[1:], strict=True)]
        return self.halved(rows, top_k)

    def ask(self, nodes: list[Node], top_k: int) -> tuple[tuple[Prediction, ...], int]:
        answer = self.client.classify(nodes, self.route, top_k)
        if answer.model_version != self.model:
            raise ModelChangedError(
                f"the service now answers with model {answer.model_version} instead of "
                f"{self.model}; run the same command again to start over with the new model"
            )
        good = (n for n, p in zip(nodes, answer.predictions, strict=True) if p.error is None)
        self.companion = next(good, self.companion)
        return answer.predictions, answer.graph_version


def model_of(client: Client) -> str:
    """Asks for the version of the model that answers.

    Raises:
        UnexpectedAnswerError: the answer has none, so it is not from the service.
    """
    version = client.info().get("model_version")
    if not isinstance(version, str):
        raise UnexpectedAnswerError(
            f"{client.where}/info does not answer like an understudy service; check the address"
        )
    return version


def answer_of(row: Row, found: Prediction, version: int) -> Answer:
    if found.error is not None:
        return failed(row, f"{found.error}: {found.error_message}")
    top = tuple((entry.label, entry.score) for entry in found.top)
    return Answer(row.place, found.id, found.label, found.score, top, found.route, version, None)


@contextmanager
def open_bundle(
    folder: Path, threads: int, provider: str, progress: Progress
) -> Iterator[InProcess]:
    """Opens a bundle that answers in this process.

    Raises:
        BundleError, GraphError, EngineError: see `Engine.open`.
    """
    from understudy.engine import Engine  # needs onnxruntime, which asking a service does not

    with Engine.open(folder, threads, provider, progress=progress) as engine:
        yield InProcess(engine)


@contextmanager
def open_on_cluster(
    folder: Path, ray: str, workers: int, provider: str, progress: Progress
) -> Iterator[InProcess]:
    """Opens a bundle that answers in the workers of a cluster.

    Raises:
        ClusterError: see `joined`, and `understudy.predict.sharing.shared_answers`.
        BundleError, GraphError, EngineError: see `Engine.open`.
    """
    with open_bundle(folder, 1, "cpu", progress) as here, joined(ray, workers) as cluster:
        from understudy.predict.sharing import shared_answers

        with shared_answers(cluster, folder, here.engine, provider) as answerer:
            yield answerer


@contextmanager
def open_service(url: str, key: str | None, timeout: float, route: Route) -> Iterator[OverHttp]:
    """Opens a service that answers.

    Raises:
        ClientError: the URL is invalid, or no service answers there.
    """
    with Client(url, key, timeout) as client:
        answerer = OverHttp(client, route)  # without patience: no answer means a wrong address
        client.retries = PATIENCE
        yield answerer
