"""Slow readers get the whole answer; clients that do not read are disconnected."""

import pytest

from service.http.sending import SENT_BYTES, Sending


def let_go(sizes: list[int], drained: int = 0) -> bool:
    """Whether the client is, where so many bytes wait for it at each of the checks, a second apart.

    More are written only when all but a few were read.

    Args:
        drained: how often that was so between two checks, if no more wait than before.
    """
    sending, before = Sending(), 0
    slow = False
    for second, size in enumerate(sizes):
        sending.drained += 1 if second and size > before else drained
        slow |= sending.is_slow(float(second), size, 10.0)
        before = size
    return slow


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


def test_who_reads_a_piece_between_any_two_looks_stays() -> None:
    """The same number of bytes waits at each of them, of another piece."""
    assert not let_go([100_000] * 30, drained=1)
    assert let_go([100_000] * 30)
