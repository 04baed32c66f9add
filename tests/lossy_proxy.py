"""A proxy that loses single answers of a server."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

PART_BYTES = 65_536


class LossyProxy:
    """Forwards connections; a connection whose answer is to be lost ends instead."""

    def __init__(self, port: int) -> None:
        """Listens.

        Args:
            port: of the server.
        """
        self.to = port
        self.losing = b""  # the next request that holds these bytes gets no answer; b"" for none
        self.lost = 0
        self.silent: set[socket.socket] = set()  # to these nothing is passed on
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.threads = [Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.threads.append(Thread(target=self.forward, args=(client,), daemon=True))
                self.threads[-1].start()

    def forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.to)) as server:
            back = Thread(target=self.pump, args=(server, client), daemon=True)
            back.start()
            with suppress(OSError):
                while part := client.recv(PART_BYTES):
                    if self.losing and self.losing in part:
                        self.losing = b""
                        self.lost += 1
                        self.lose(client, server, part, back)
                        return
                    server.sendall(part)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()

    def lose(self, client: socket.socket, server: socket.socket, part: bytes, back: Thread) -> None:
        """Has the server carry out the request, and tells nobody what it answers."""
        self.silent.add(client)
        server.sendall(part)
        server.shutdown(socket.SHUT_WR)  # it answers what it has read, then ends the connection
        back.join()
        self.silent.remove(client)

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(PART_BYTES):
                if target not in self.silent:
                    with suppress(OSError):
                        target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def lossy_proxy(port: int) -> Iterator[LossyProxy]:
    proxy = LossyProxy(port)
    try:
        yield proxy
    finally:
        with suppress(OSError):
            proxy.listener.shutdown(socket.SHUT_RDWR)
        proxy.listener.close()
        for thread in proxy.threads:
            thread.join(10)
