"""The options of a teacher behind an endpoint, with the prices of its answers."""

from dataclasses import dataclass, field

from training.config import check_amount
from understudy.endpoint.options import ClientOptions, Constraint, Thinking, WireName


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    url: str  # without /chat/completions, /decisions or /systemone
    model: str
    key: str = field(default="", repr=False)  # sent as a bearer token
    concurrency: int = 8  # requests at a time
    attempts: int = 6  # maximum per question
    backoff: float = 1.0  # seconds before the second attempt; doubles each time
    longest_wait: float = 60.0  # seconds, between two attempts
    timeout: float = 120.0  # seconds, of one request
    top: int = 20  # alternatives requested at each token; 0 requests none
    constraint: Constraint = "auto"
    thinking: Thinking = "auto"
    nonsense: float = 0.5  # share of unreadable answers at which the run stops
    input_price: float = 0.0  # of a million prompt tokens, in any currency
    output_price: float = 0.0  # of a million answered tokens
    most_money: float = 0.0  # limit for a run, by these prices; 0 is no limit
    wire: WireName = "chat"
    most_choices: int = 255  # options a question, of a decision endpoint

    def __post_init__(self) -> None:
        for name in ("input_price", "output_price", "most_money"):
            check_amount(name, getattr(self, name))

    @property
    def priced(self) -> bool:
        """Whether answers have a price."""
        return bool(self.input_price or self.output_price)

    @property
    def form(self) -> str:
        """The form in words."""
        return "an OpenAI endpoint" if self.wire == "chat" else "a decision endpoint"

    def calls(self, classes: int) -> int:
        """Number of requests per question."""
        return 1 if self.wire == "chat" or classes <= self.most_choices else 2

    @property
    def client(self) -> ClientOptions:
        """The options of the client."""
        return ClientOptions(
            url=self.url,
            model=self.model,
            key=self.key,
            constraint=self.constraint,
            thinking=self.thinking,
            timeout_seconds=self.timeout,
            connections=self.concurrency,
            top=self.top,
            private=False,  # the user has the texts
            wire=self.wire,
            most_choices=self.most_choices,
        )
