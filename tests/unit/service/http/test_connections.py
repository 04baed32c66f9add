"""Places for connections: as many as are allowed, and a few more to read why not."""

import asyncio

from service.http.connections import REFUSED_CONNECTIONS, ConnectionLimit


class Connection(asyncio.Transport):
    """Notes that it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_place_that_is_left_is_taken_again() -> None:
    limit = ConnectionLimit(2)
    assert [limit.take() for _ in range(3)] == [True, True, False]
    limit.leave(Connection(), had_place=False)
    assert not limit.take()
    limit.leave(Connection(), had_place=True)
    assert [limit.take() for _ in range(2)] == [True, False]


def test_of_refused_connections_the_oldest_are_closed_beyond_the_limit() -> None:
    limit = ConnectionLimit(0)
    connections = [Connection() for _ in range(REFUSED_CONNECTIONS + 2)]
    for connection in connections[:REFUSED_CONNECTIONS]:
        limit.keep_open(connection)
    assert not any(connection.closed for connection in connections)
    limit.leave(connections[0], had_place=False)  # left by itself, which makes room
    for connection in connections[REFUSED_CONNECTIONS:]:
        limit.keep_open(connection)
    assert [connection.closed for connection in connections[:3]] == [False, True, False]
    assert not any(connection.closed for connection in connections[2:])
