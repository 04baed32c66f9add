"""Who reads an answer, however slowly, gets all of it; who does not is let go."""

import pytest

from service.http.protocol import SENT_BYTES, Connection, WireLimits


class Waiting:
    """A transport with so many bytes that the client has not read yet."""

    def __init__(self) -> None:
        self.size = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.size

    def abort(self) -> None:
        self.aborted = True


def let_go(sizes: list[int]) -> bool:
    """Whether the client is, where so many bytes wait for it at each of the checks, a second apart.

    More are written only when all but a few were read.
    """
    connection = Connection.__new__(Connection)  # what it reads is nobody's here
    transport = Waiting()
    connection.limits = WireLimits(send_seconds=10.0)
    connection.transport, connection.unsent = transport, None  # type: ignore[assignment]
    for second, size in enumerate(sizes):
        transport.size = size
        connection.check_sending(float(second))
    return transport.aborted


@pytest.mark.parametrize(
    ("step", "expected"), [(0, True), (SENT_BYTES // 20, True), (SENT_BYTES // 8, False)]
)
def test_a_client_is_let_go_that_reads_too_little(step: int, expected: bool) -> None:
    assert let_go([2**20 - step * second for second in range(30)]) is expected


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_who_reads_steadily_stays_however_the_pieces_fall(first: int) -> None:
    """A piece of a megabyte takes it nine seconds, so at some checks more wait than before."""
    sizes = [2**20 - 117_000 * ((second + first) % 9) for second in range(100)]
    assert not let_go(sizes)
