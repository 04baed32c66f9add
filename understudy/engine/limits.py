"""How much one request may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    body_bytes: int = 8 * 2**20
    nodes: int = 1_024  # in one request
    text_characters: int = 100_000  # of one node; encoders read far less
    neighbors: int = 32_768  # of one node
    top_k: int = 100  # labels of one prediction


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Of a connection, below every route."""

    head_bytes: int = 64 * 2**10  # request line and headers
    headers: int = 256
    pipelined: int = 100  # requests that wait for the answers before theirs
    connections: int = 1_000
    receive_seconds: float = 30.0  # of a whole request; also of a connection that sends none
    keep_alive_seconds: float = 5.0  # from an answer to the next request
    send_seconds: float = 30.0  # without progress, where the client does not read
