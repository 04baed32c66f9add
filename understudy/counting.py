"""Numbers with their nouns, as sentences write them."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """The number and the noun, which is plural unless there is one: 1 node, 2,000 nodes."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
