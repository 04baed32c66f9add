"""A number stands with its noun as a sentence writes it."""

from understudy.counting import counted


def test_one_is_singular_and_all_others_are_plural() -> None:
    assert [counted(count, "node") for count in (0, 1, 2, 1_234)] == [
        *("0 nodes", "1 node", "2 nodes", "1,234 nodes"),
    ]
    assert [counted(count, "class", "classes") for count in (1, 3)] == ["1 class", "3 classes"]
