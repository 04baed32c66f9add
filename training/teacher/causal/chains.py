"""Finds prompts with common prefixes, which are read together.

A description that is a prefix of another one ends along the way: the prompts for hops 0 to l of a
node, whose descriptions nest, form one text that is read once, with a branch at the end of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from training.teacher.causal.tokens import Ids, Row


@dataclass(frozen=True, slots=True)
class Chain:
    """Prompts with one head whose descriptions are prefixes of the longest.

    `members[i]` are the positions of the prompts that end after `ends[i]` tokens of `trunk`.
    """

    head: Ids
    trunk: Ids
    ends: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def positions(self) -> list[int]:
        return [position for members in self.members for position in members]


def chains_of(rows: Sequence[Row]) -> list[Chain]:
    """Puts every row into one chain; in a sorted list, prefixes precede their extensions."""
    order = sorted(range(len(rows)), key=lambda index: (rows[index].head, rows[index].body))
    chains: list[list[list[int]]] = []  # chain → end → members
    last: Row | None = None
    for index in order:
        row = rows[index]
        if last is not None and row == last:
            chains[-1][-1].append(index)
        elif last is not None and row.head == last.head and starts(last.body, row.body):
            chains[-1].append([index])
        else:
            chains.append([[index]])
        last = row
    return [chain(rows, ends) for ends in chains]


def starts(start: Ids, whole: Ids) -> bool:
    return whole[: len(start)] == start


def chain(rows: Sequence[Row], ends: Sequence[Sequence[int]]) -> Chain:
    trunk = rows[ends[-1][0]]
    lengths = tuple(len(rows[members[0]].body) for members in ends)
    return Chain(trunk.head, trunk.body, lengths, tuple(map(tuple, ends)))


def batches_of(
    chains: Sequence[Chain], branch: int, tokens_per_batch: int, branches_per_batch: int
) -> list[list[Chain]]:
    """Groups chains with the same head and number of ends, of similar length.

    Args:
        branch: tokens of a branch
        tokens_per_batch: including padding, without heads
        branches_per_batch: limit so that the logits of a batch fit
    """
    batches: list[list[Chain]] = []
    for each in sorted(chains, key=lambda c: (c.head, len(c.ends), len(c.trunk))):
        width = len(each.trunk) + len(each.ends) * branch
        last = batches[-1] if batches else []
        count = len(last) + 1
        if (
            not last
            or (last[0].head, len(last[0].ends)) != (each.head, len(each.ends))
            or count * width > tokens_per_batch
            or count * len(each.ends) > branches_per_batch
        ):
            batches.append([])
        batches[-1].append(each)
    return batches
