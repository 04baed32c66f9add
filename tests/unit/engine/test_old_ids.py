"""Ids and texts accepted before a rule existed: nothing acknowledged is lost."""

import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine, Node
from understudy.engine.errors import MutationRefusedError
from understudy.graph.log.protocol import Record
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode, encode_mutations


@pytest.mark.parametrize("old", ["a\nb", "x" * 4_000, "\u200b", "\ufeffa"])
def test_a_journal_with_such_an_id_is_replayed_and_can_be_cleaned(
    tiny_bundle: TinyBundle, old: str
) -> None:
    with Engine.open(tiny_bundle.folder) as engine:
        made: list[Mutation] = [UpsertNode(old, "http"), AddEdge(old, "node-1")]
        with engine.writer.lock:
            engine.writer.apply_records([Record(1, None, encode_mutations(made))])
        assert engine.classify([Node(id=old)])[0].label
        with pytest.raises(MutationRefusedError, match="a node's id"):
            engine.apply([UpsertNode(old, "proof")])
        engine.apply([DeleteNode(old)])
        assert engine.state.graph.row_of(old) is None


def test_a_journal_with_an_invisible_text_is_replayed_and_can_be_cleaned(
    tiny_bundle: TinyBundle,
) -> None:
    with Engine.open(tiny_bundle.folder) as engine:
        made: list[Mutation] = [UpsertNode("old", "\u200b"), AddEdge("old", "node-1")]
        with engine.writer.lock:
            engine.writer.apply_records([Record(1, None, encode_mutations(made))])
        assert engine.classify([Node(id="old")])[0].label
        with pytest.raises(MutationRefusedError, match="text must have a visible character"):
            engine.apply([UpsertNode("old", "\u200b")])
        engine.apply([UpsertNode("old", "proof")])
