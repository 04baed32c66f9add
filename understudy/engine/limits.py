"""Limits of one request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    body_bytes: int = 8 * 2**20
    nodes: int = 1_024  # in one request
    text_characters: int = 100_000  # of one node; encoders read far less
    neighbors: int = 32_768  # of one unseen node
    top_k: int = 100  # labels of one prediction
    explained_nodes: int = 16  # in one request
    explained_neighbors: int = 64  # of one node, left out one at a time
    explained_words: int = 64  # of one node, left out one at a time
