"""Reading requests: every refusal names its field."""

import json
from typing import Any

import msgspec
import pytest

from service.errors import InvalidFieldError, MalformedJsonError, RequestError
from service.http.exchange import decode
from service.messages import ClassifyRequest, Node
from service.routes.graph import MutationsBody
from understudy.graph.mutations import (
    AddEdge,
    DeleteNode,
    RemoveEdge,
    UpsertNode,
    decode_mutations,
    encode_mutations,
)

DECODER = msgspec.json.Decoder(ClassifyRequest)


def decode_request(body: bytes) -> ClassifyRequest:
    return decode(DECODER, body)


def test_a_whole_request_is_read() -> None:
    request = decode_request(
        b'{"nodes": [{"id": "curl"}, {"text": "a", "neighbors": ["b", "c"]}], "top_k": 3}'
    )
    assert request.nodes == (Node(id="curl"), Node(text="a", neighbors=("b", "c")))
    assert (request.route, request.top_k) == ("student", 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nodes",
        b"NaN",
        b'{"nodes": [{"id": "a"}]} x',
        b"\xef\xbb\xbf{}",
        b'{"nodes": [{"text": "\xff"}]}',
        b'{"nodes": [{"text": "\\ud800"}]}',
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        decode_request(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b" \n", "it is empty"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark; send UTF-8 without one"),
        ("{}".encode("utf-16"), "byte order mark"),
        (b"{", "truncated"),
        (b'{"nodes": [{"text": "a \\ud800 b"}]}', "an escape names half a character"),
        (b'{"nodes": [{"text": "\\uDC00"}]}', "an escape names half a character"),
        (b'{"nodes": [{"text": "\\ud83d\\ude00"}', "truncated"),
    ],
)
def test_what_can_be_done_about_a_body_is_told(body: bytes, words: str) -> None:
    with pytest.raises(MalformedJsonError, match=f"the body is not JSON: .*{words}"):
        decode_request(body)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], ""),
        ({}, "nodes"),
        ({"nodes": []}, "nodes"),
        ({"nodes": "curl"}, "nodes"),
        ({"nodes": ["curl"]}, "nodes.0"),
        ({"nodes": [{"id": 7}]}, "nodes.0.id"),
        ({"nodes": [{"id": "a"}, {"text": 7}]}, "nodes.1.text"),
        ({"nodes": [{"text": "a", "neighbors": "b"}]}, "nodes.0.neighbors"),
        ({"nodes": [{"text": "a", "neighbors": ["b", None]}]}, "nodes.0.neighbors.1"),
        ({"nodes": [{"text": "a", "neighbours": []}]}, "nodes.0.neighbours"),
        ({"nodes": [{"id": "a"}], "topk": 1}, "topk"),
        ({"nodes": [{"id": "a"}], "top_k": 0}, "top_k"),
        ({"nodes": [{"id": "a"}], "top_k": 1.5}, "top_k"),
        ({"nodes": [{"id": "a"}], "top_k": True}, "top_k"),
        ({"nodes": [{"id": "a"}], "route": "oracle"}, "route"),
    ],
)
def test_a_wrong_field_is_named(value: Any, field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        decode_request(json.dumps(value).encode())
    assert caught.value.details["field"] == field
    assert field in str(caught.value)


@pytest.mark.parametrize("body", [b'{"nodes":' + b"[" * 100_000, b'{"x":' + b'{"x":' * 100_000])
def test_deep_nesting_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        decode_request(body)


def test_mutations_from_the_wire_are_journalled_as_those_made_in_process() -> None:
    own = (UpsertNode("é", "a"), AddEdge("é", "b"), RemoveEdge("é", "b"), DeleteNode("é"))
    sent = decode(
        msgspec.json.Decoder(MutationsBody), b'{"mutations": %s}' % encode_mutations(own)
    ).mutations
    assert encode_mutations(sent) == encode_mutations(own)
    assert decode_mutations(encode_mutations(sent)) == own
