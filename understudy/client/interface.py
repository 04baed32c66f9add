"""The methods of both clients, defined once: `Client` returns results, `AsyncClient` is awaited."""

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from understudy.client import calls, parts
from understudy.client.addresses import service_url
from understudy.client.attempts import Plan, Retries
from understudy.client.errors import ClientError, InvalidRequestError
from understudy.client.models import (
    Change,
    Classification,
    Comparison,
    FoundNode,
    NodePage,
    Nodes,
    RequestLimits,
    Route,
    SimilarNode,
    StoredNode,
)

logger = logging.getLogger(__name__)
LONGEST_TIMEOUT = 2_000_000  # seconds; a socket counts them as milliseconds in 31 bits
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Answer = TypeVar("Answer")


class Blocking(Protocol):
    """A client whose methods return results."""

    def carry_out(self, plan: Plan[Any, Answer]) -> Answer: ...


class Awaiting(Protocol):
    """A client whose methods are awaited."""

    async def carry_out(self, plan: Plan[Any, Answer]) -> Answer: ...


class Call(Generic[Arguments, Result]):
    """A method of both clients, which carries out the plan made by the decorated function.

    The function's name, arguments and docstring are the method's.
    """

    def __init__(
        self, plan: Callable[Concatenate["Interface", Arguments], Plan[Any, Result]]
    ) -> None:
        self.plan = plan
        update_wrapper(self, plan)  # type: ignore[arg-type]  # for `help`, which reads __wrapped__

    @overload
    def __get__(self, client: None, kind: type) -> "Call[Arguments, Result]": ...
    @overload
    def __get__(self, client: Blocking, kind: type) -> Callable[Arguments, Result]: ...
    @overload
    def __get__(
        self, client: Awaiting, kind: type
    ) -> Callable[Arguments, Coroutine[Any, Any, Result]]: ...
    def __get__(self, client: Any, kind: type) -> Any:
        if client is None:
            return self

        def ask(*arguments: Arguments.args, **named: Arguments.kwargs) -> Any:
            return client.carry_out(self.plan(client, *arguments, **named))

        return update_wrapper(ask, self.plan)


class Interface:
    """The methods of both clients; safe to share between threads, or between tasks."""

    def __init__(self, url: str, retries: Retries | None, timeout: float) -> None:
        self.url = service_url(url)
        if not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST_TIMEOUT:
            raise InvalidRequestError(
                f"timeout is {timeout!r}; give a number of seconds above 0, up to "
                f"{LONGEST_TIMEOUT:,}"
            )
        if not isinstance(retries, Retries | None):
            kind = type(retries).__name__
            raise InvalidRequestError(f"retries is a {kind}; give Retries(attempts=…), or None")
        self.retries = retries or Retries()
        self.limits: RequestLimits | None = None  # of the service, once known
        if "://" not in url:
            logger.info("the address has no scheme; using %s", self.where)

    @property
    def where(self) -> str:
        """The service's address without user name and password."""
        return f"{self.url.scheme}://{self.url.netloc.decode()}"

    @Call
    def classify(
        self, nodes: Nodes, route: Route = "student", top_k: int = 1, explain: bool = False
    ) -> Plan[Any, Classification]:
        """Classifies nodes: one prediction per node, in order; an invalid node's has an `error`.

        Args:
            nodes: one or more; an id alone is a stored node. More nodes than the service accepts in
                one request are sent in several.
            route: which model answers; `auto` asks the teacher if the student is unsure.
            top_k: labels to list for each node, best first.
            explain: whether to explain each answer of the student.
        """
        node_list = parts.nodes_of(nodes)
        limits = yield from parts.limits_for(node_list, self)
        return (yield from parts.classify(node_list, limits, route, top_k, explain))

    @Call
    def compare(self, nodes: Nodes, top_k: int = 1) -> Plan[Any, list[Comparison]]:
        """Returns the student's and the teacher's answer for each node; nodes as in `classify`."""
        node_list = parts.nodes_of(nodes)
        limits = yield from parts.limits_for(node_list, self)
        return (yield from parts.compare(node_list, limits, top_k))

    @Call
    def mutate(
        self, mutations: Sequence[Mapping[str, Any]], key: str | None = None
    ) -> Plan[Change, Change]:
        """Changes the graph, all mutations or none; see docs/reference/http.md for their kinds.

        Args:
            key: idempotency key: the same changes under the same key are applied once. By default a
                new one for each call.
        """
        return (yield calls.mutate(mutations, key))

    @Call
    def put_node(
        self,
        node_id: str,
        text: str | None = None,
        label: str | None = None,
        neighbors: Sequence[str] = (),
        key: str | None = None,
    ) -> Plan[Change, Change]:
        """Adds a node, or changes the given fields of it; neighbours are added to existing ones."""
        return (yield calls.put_node(node_id, text, label, neighbors, key))

    @Call
    def delete_node(self, node_id: str, key: str | None = None) -> Plan[Change, Change]:
        """Removes a node and its edges."""
        return (yield calls.delete_node(node_id, key))

    @Call
    def add_edge(self, source: str, target: str, key: str | None = None) -> Plan[Change, Change]:
        """Adds an edge between two nodes."""
        return (yield calls.edge("POST", source, target, key))

    @Call
    def remove_edge(self, source: str, target: str, key: str | None = None) -> Plan[Change, Change]:
        """Removes the edge between two nodes."""
        return (yield calls.edge("DELETE", source, target, key))

    @Call
    def node(self, node_id: str) -> Plan[StoredNode, StoredNode]:
        """Returns a stored node."""
        return (yield calls.node(node_id))

    @Call
    def nodes(
        self,
        after: str = "",
        limit: int = 100,
        label: str | None = None,
        split: str | None = None,
    ) -> Plan[NodePage, NodePage]:
        """Lists stored nodes in the order of their ids, a page of at most `limit`.

        A node that exists throughout is listed exactly once, even if the graph changes between
        pages.

        Args:
            after: the last page's `next`; empty for the first page.
            label: only nodes with this given label.
            split: only nodes of that split of the graph, such as train.
        """
        return (yield calls.nodes(after, limit, label, split))

    @Call
    def search(
        self, text: str, limit: int = 10
    ) -> Plan[tuple[FoundNode, ...], tuple[FoundNode, ...]]:
        """Finds the best matching stored nodes: by the start of ids, or by words of id and text."""
        return (yield calls.search(text, limit))

    @Call
    def neighbors(self, node_id: str) -> Plan[tuple[str, ...], tuple[str, ...]]:
        """Lists the ids of a node's neighbours."""
        return (yield calls.neighbors(node_id))

    @Call
    def similar(
        self, node_id: str, count: int = 10, label: str | None = None
    ) -> Plan[tuple[SimilarNode, ...], tuple[SimilarNode, ...]]:
        """Finds the stored nodes most similar to one, best first.

        Args:
            label: only nodes with this predicted label.
        """
        return (yield calls.similar(node_id, count, label))

    @Call
    def embeddings(self, nodes: Nodes) -> Plan[Any, list[tuple[float, ...]]]:
        """Returns the last hidden state of each node; one invalid node refuses the whole request.

        Nodes as in `classify`.
        """
        node_list = parts.nodes_of(nodes)
        limits = yield from parts.limits_for(node_list, self)
        return (yield from parts.embeddings(node_list, limits))

    @Call
    def info(self) -> Plan[dict[str, Any], dict[str, Any]]:
        """Describes what is being served."""
        return (yield calls.info())

    @Call
    def live(self) -> Plan[bool, bool]:
        """Whether the service's process is up; asks once."""
        return (yield from answered("live"))

    @Call
    def ready(self) -> Plan[bool, bool]:
        """Whether the service answers and passed a recent test inference; asks once."""
        return (yield from answered("ready"))

    @Call
    def metrics(self) -> Plan[str, str]:
        """Returns the service's metrics in the Prometheus format."""
        return (yield calls.metrics())

    @Call
    def document(self) -> Plan[dict[str, Any], dict[str, Any]]:
        """Returns the OpenAPI document of the service's routes."""
        return (yield calls.document())

    @Call
    def reload(self) -> Plan[dict[str, Any], dict[str, Any]]:
        """Reloads the bundle from the service's folder; returns which bundle that is."""
        return (yield calls.reload())


def answered(state: str) -> Plan[bool, bool]:
    """Asks whether the service is live or ready; any error means no."""
    try:
        return (yield calls.health(state))
    except ClientError:
        return False
