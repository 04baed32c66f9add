"""What is served now."""

from understudy.engine.engine import Engine


class Slot:
    """Holds the engine that new requests are resolved with; a reload puts another one in.

    Requests that run keep the engine that they began with.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
