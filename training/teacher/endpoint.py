"""A teacher behind an endpoint: which one, how it is asked, and what its answers cost."""

from dataclasses import dataclass, field

from understudy.endpoint.asker import Asker
from understudy.endpoint.options import ClientOptions, Constraint, Thinking


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    url: str  # up to and without /chat/completions
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    concurrency: int = 8  # requests at a time
    attempts: int = 6  # of one question, at most
    backoff: float = 1.0  # seconds before the second attempt; doubles from one to the next
    longest_wait: float = 60.0  # seconds, between two attempts
    timeout: float = 120.0  # seconds, of one request
    top: int = 20  # alternatives asked for at each token; 0 asks for none
    constraint: Constraint = "auto"
    thinking: Thinking = "auto"
    nonsense: float = 0.5  # share of unreadable answers at which the run stops
    input_price: float = 0.0  # of a million prompt tokens, in any currency
    output_price: float = 0.0  # of a million answered tokens


def open_asker(options: EndpointOptions) -> Asker:
    """What asks it."""
    from understudy.endpoint.client import ChatClient  # the openai package takes a second

    return ChatClient(
        ClientOptions(
            url=options.url,
            model=options.model,
            key=options.key,
            constraint=options.constraint,
            thinking=options.thinking,
            timeout_seconds=options.timeout,
            connections=options.concurrency,
            top=options.top,
        )
    )
