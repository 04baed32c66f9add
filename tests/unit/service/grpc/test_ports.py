"""Which process owns the port of gRPC."""

import asyncio
import socket
from dataclasses import replace

import pytest

from service.errors import AddressError
from service.grpc.server import GrpcOptions, GrpcServer
from service.http.bodies import SerialExecutor


def options(port: int) -> GrpcOptions:
    return GrpcOptions("127.0.0.1", port, 2**20, 2**14, 10, 30.0, 30.0)


def test_workers_share_a_port_and_nobody_else_does() -> None:
    async def open_both() -> None:
        executor = SerialExecutor()
        shared = replace(options(0), shared=True)
        try:
            first = GrpcServer(lambda *_: asyncio.sleep(0), shared, executor, print)
            second = GrpcServer(
                lambda *_: asyncio.sleep(0), replace(shared, port=first.port), executor, print
            )
            assert second.port == first.port
            with pytest.raises(AddressError):
                GrpcServer(lambda *_: asyncio.sleep(0), options(first.port), executor, print)
        finally:
            executor.close()

    asyncio.run(open_both())


def test_a_taken_port_is_said() -> None:
    async def open_on(port: int) -> None:
        executor = SerialExecutor()
        try:
            GrpcServer(lambda *_: asyncio.sleep(0), options(port), executor, print)
        finally:
            executor.close()

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressError, match=f"{port}; choose another with --grpc-port"):
            asyncio.run(open_on(port))
