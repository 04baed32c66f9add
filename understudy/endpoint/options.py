"""Which endpoint is asked, and how."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from understudy.endpoint.errors import AddressError

# How a server is held to the labels: `choice` is vLLM's, `grammar` llama.cpp's.
Constraint = Literal["auto", "json_schema", "choice", "grammar", "none"]
# How a model is kept from thinking: by its chat template's switch or by `reasoning_effort`; `wait`
# lets it think, `none` sends nothing and leaves no room for it.
Thinking = Literal["auto", "none", "template", "effort", "wait"]

# In which form questions are sent: see `understudy.endpoint.client` and `.decisions`.
WireName = Literal["chat", "decisions", "systemone"]


@dataclass(frozen=True, slots=True)
class ClientOptions:
    url: str  # up to and without /chat/completions, /decisions or /systemone
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    constraint: Constraint = "auto"
    thinking: Thinking = "auto"
    thinking_tokens: int = 4_096  # room for thoughts, where they are waited for
    timeout_seconds: float = 30.0  # of one request, its whole answer included
    connections: int = 8
    top: int = 0  # alternatives asked for at each token; 0 asks for none
    exact: bool = False  # an answer is a label and nothing else, or names none
    private: bool = True  # a refusal is told without any word of the text: it may stand in a log
    wire: WireName = "chat"
    most_choices: int = 255  # options of a decision endpoint's question, by its specification


def check_address(url: str, key: str) -> None:
    """Refuses what no request could be sent with.

    Raises:
        AddressError: no URL of HTTP, or a key that no header can hold.
    """
    try:
        parsed = urlsplit(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.hostname)
        usable = usable and parsed.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise AddressError("no URL of a server; expected something like http://host:8001/v1", "url")
    if not (key.isascii() and key.isprintable()):
        raise AddressError("a character that no key has, such as a line's end", "key")
