"""The options of an endpoint."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from understudy.endpoint.errors import AddressError

# How a server is restricted to the labels: `choice` is vLLM's, `grammar` llama.cpp's.
Constraint = Literal["auto", "json_schema", "choice", "grammar", "none"]
# How a model's thinking is turned off: by its chat template or by `reasoning_effort`; `wait` lets
# it think, `none` sends nothing and leaves no room for it.
Thinking = Literal["auto", "none", "template", "effort", "wait"]

# The form of questions: see `understudy.endpoint.client` and `.decisions`.
WireName = Literal["chat", "decisions", "systemone"]
ROUTES = ("/chat/completions", "/completions", "/decisions", "/systemone")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    url: str  # without /chat/completions, /decisions or /systemone
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    constraint: Constraint = "auto"
    thinking: Thinking = "auto"
    thinking_tokens: int = 4_096  # room for thoughts, if they are waited for
    timeout_seconds: float = 30.0  # of one request, including its whole answer
    connections: int = 8
    top: int = 0  # alternatives requested at each token; 0 requests none
    exact: bool = False  # an answer must consist of a label only
    private: bool = True  # refusals omit words of the text, since they may be logged
    wire: WireName = "chat"
    most_choices: int = 255  # maximum of a decision endpoint's question, by its specification


def check_address(url: str, key: str) -> None:
    """Refuses an address or a key that no request could use.

    Raises:
        AddressError: it is no HTTP URL, or that of a route, to which the route would be added once
            more, or has a query, which would come before it; or a header cannot hold the key.
    """
    try:
        parsed = urlsplit(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.hostname)
        usable = usable and parsed.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise AddressError(
            "not the URL of a server; expected a URL such as http://host:8001/v1", "url"
        )
    if parsed.path.rstrip("/").endswith(ROUTES) or parsed.query or parsed.fragment:
        raise AddressError(
            "the URL of a route, or has a query; expected the server's own, to which the route is "
            "added, such as http://host:8001/v1",
            "url",
        )
    if not (key.isascii() and key.isprintable()):
        raise AddressError("a character that is not allowed in a key, such as a line break", "key")
