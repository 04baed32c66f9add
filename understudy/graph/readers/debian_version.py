"""The order of Debian package versions, as deb-version(7) defines it."""

import re
from itertools import zip_longest

NUMBER = re.compile(r"(\d+)")


def version_key(version: str) -> tuple[int, "Part", "Part"]:
    """A key that sorts versions: epoch, upstream version, Debian revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch) if epoch.isdecimal() else 0, Part(upstream), Part(revision)


class Part:
    """Alternating runs of other characters and of digits, compared run by run."""

    def __init__(self, text: str) -> None:
        runs = NUMBER.split(text)
        self.others, self.numbers = runs[::2], [int(run) for run in runs[1::2]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and not self < other and not other < self

    def __hash__(self) -> int:
        return hash(tuple(self.numbers))

    def __lt__(self, other: "Part") -> bool:
        runs = zip_longest(self.others, other.others, fillvalue="")
        numbers = zip_longest(self.numbers, other.numbers, fillvalue=0)
        for (mine, theirs), (number, their_number) in zip_longest(runs, numbers, fillvalue=(0, 0)):
            if mine != theirs:
                return lexical_less(str(mine), str(theirs))
            if number != their_number:
                return number < their_number
        return False


def lexical_less(mine: str, theirs: str) -> bool:
    """A tilde sorts before the end, the end before letters, letters before everything else."""
    for left, right in zip_longest(map(order, mine), map(order, theirs), fillvalue=0):
        if left != right:
            return left < right
    return False


def order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
