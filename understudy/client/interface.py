"""All that can be asked of a service, said once: `Client` answers it, `AsyncClient` awaits it."""

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
    """A client that answers."""

    def carry_out(self, plan: Plan[Any, Answer]) -> Answer: ...


class Awaiting(Protocol):
    """A client that is awaited."""

    async def carry_out(self, plan: Plan[Any, Answer]) -> Answer: ...


class Call(Generic[Arguments, Result]):
    """A method of both clients: calling it carries out the plan that the function makes.

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
    """What both clients can be asked; safe to share between threads, or between tasks."""

    def __init__(self, url: str, retries: Retries | None, timeout: float) -> None:
        self.url = service_url(url)
        if not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST_TIMEOUT:
            raise InvalidRequestError(
                f"timeout is {timeout!r}; give seconds, above 0 and up to {LONGEST_TIMEOUT:,}"
            )
        if not isinstance(retries, Retries | None):
            kind = type(retries).__name__
            raise InvalidRequestError(f"retries is a {kind}; give Retries(attempts=…), or None")
        self.retries = retries or Retries()
        self.limits: RequestLimits | None = None  # of the service, once they are known
        if "://" not in url:
            logger.info("the address has no scheme; asking %s", self.where)

    @property
    def where(self) -> str:
        """The service's address without a password."""
        return f"{self.url.scheme}://{self.url.netloc.decode()}"

    @Call
    def classify(
        self, nodes: Nodes, route: Route = "student", top_k: int = 1, explain: bool = False
    ) -> Plan[Any, Classification]:
        """One prediction a node, in their order; a bad node's has its `error` set.

        Args:
            nodes: one, or any number; an id alone is a stored node. More than a request may hold
                go in several, one after the other.
            route: who answers; `auto` asks the teacher where the student is unsure.
            top_k: labels to list for each node, best first.
            explain: tell what each answer of the student rests on.
        """
        asked = parts.nodes_of(nodes)
        limits = yield from parts.limits_for(asked, self)
        return (yield from parts.classify(asked, limits, route, top_k, explain))

    @Call
    def compare(self, nodes: Nodes, top_k: int = 1) -> Plan[Any, list[Comparison]]:
        """The student's and the teacher's answer for each node; nodes as in `classify`."""
        asked = parts.nodes_of(nodes)
        limits = yield from parts.limits_for(asked, self)
        return (yield from parts.compare(asked, limits, top_k))

    @Call
    def mutate(
        self, mutations: Sequence[Mapping[str, Any]], key: str | None = None
    ) -> Plan[Change, Change]:
        """Makes changes of the graph, all or none; see docs/reference/http.md for their kinds.

        Args:
            key: idempotency key: the same changes under the same key are made once. Without one,
                one is made up for each call.
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
        """Adds a node or changes what is given of it; neighbours are added to those it has."""
        return (yield calls.put_node(node_id, text, label, neighbors, key))

    @Call
    def delete_node(self, node_id: str, key: str | None = None) -> Plan[Change, Change]:
        """Removes a node and its edges."""
        return (yield calls.delete_node(node_id, key))

    @Call
    def add_edge(self, source: str, target: str, key: str | None = None) -> Plan[Change, Change]:
        """Links two nodes."""
        return (yield calls.edge("POST", source, target, key))

    @Call
    def remove_edge(self, source: str, target: str, key: str | None = None) -> Plan[Change, Change]:
        """Unlinks two nodes."""
        return (yield calls.edge("DELETE", source, target, key))

    @Call
    def node(self, node_id: str) -> Plan[StoredNode, StoredNode]:
        """A node as it is stored."""
        return (yield calls.node(node_id))

    @Call
    def nodes(
        self,
        after: str = "",
        limit: int = 100,
        label: str | None = None,
        split: str | None = None,
    ) -> Plan[NodePage, NodePage]:
        """Stored nodes in the order of their ids, a page of at most `limit`.

        A node that is there all the while is in the pages exactly once, however the graph changes
        between them.

        Args:
            after: the last page's `next`; empty for the first page.
            label: only nodes that were given it.
            split: only nodes of that split of the graph, such as train.
        """
        return (yield calls.nodes(after, limit, label, split))

    @Call
    def search(
        self, text: str, limit: int = 10
    ) -> Plan[tuple[FoundNode, ...], tuple[FoundNode, ...]]:
        """The stored nodes that fit best: by how their ids begin, or by words of id and text."""
        return (yield calls.search(text, limit))

    @Call
    def neighbors(self, node_id: str) -> Plan[tuple[str, ...], tuple[str, ...]]:
        """The ids of the nodes that a node is linked to."""
        return (yield calls.neighbors(node_id))

    @Call
    def similar(
        self, node_id: str, count: int = 10, label: str | None = None
    ) -> Plan[tuple[SimilarNode, ...], tuple[SimilarNode, ...]]:
        """The stored nodes most similar to one, best first.

        Args:
            label: only nodes that are predicted to have it.
        """
        return (yield calls.similar(node_id, count, label))

    @Call
    def embeddings(self, nodes: Nodes) -> Plan[Any, list[tuple[float, ...]]]:
        """The last hidden state of each node; a bad node refuses all. Nodes as in `classify`."""
        asked = parts.nodes_of(nodes)
        limits = yield from parts.limits_for(asked, self)
        return (yield from parts.embeddings(asked, limits))

    @Call
    def info(self) -> Plan[dict[str, Any], dict[str, Any]]:
        """What is being served."""
        return (yield calls.info())

    @Call
    def live(self) -> Plan[bool, bool]:
        """Whether the service's process is up; asks once."""
        return (yield from answered("live"))

    @Call
    def ready(self) -> Plan[bool, bool]:
        """Whether the service is there and a real inference passed lately; asks once."""
        return (yield from answered("ready"))

    @Call
    def metrics(self) -> Plan[str, str]:
        """The service's metrics, as Prometheus reads them."""
        return (yield calls.metrics())

    @Call
    def document(self) -> Plan[dict[str, Any], dict[str, Any]]:
        """The OpenAPI document of the service's routes."""
        return (yield calls.document())

    @Call
    def reload(self) -> Plan[dict[str, Any], dict[str, Any]]:
        """Has the bundle in its folder answer from now on; says which that is."""
        return (yield calls.reload())


def answered(state: str) -> Plan[bool, bool]:
    """Whether the service says that it is live, or ready; whatever else it says is no."""
    try:
        return (yield calls.health(state))
    except ClientError:
        return False
