import pytest

from understudy.graph.readers.debian_version import version_key

RISING = [
    "~",
    "0~beta",
    "0",
    "0.9",
    "1.0~rc1-1",
    "1.0~rc1-1.1",
    "1.0-1",
    "1.0-1+deb12u1",
    "1.0-1+deb12u2",
    "1.0-2",
    "1.0a-1",
    "1.0.1",
    "1.0.9",
    "1.0.10",
    "1.0+git20240101",
    "2:0.1",
    "10:0.1",
]


def test_versions_sort_as_debian_policy_says() -> None:
    # 1.0.1 before 1.0+git: "." (46) sorts after "+" (43)
    expected = [version for version in RISING if version != "1.0+git20240101"]
    expected.insert(expected.index("1.0.1"), "1.0+git20240101")
    backwards = expected[::-1]
    assert sorted(backwards, key=version_key) == expected


@pytest.mark.parametrize(("first", "second"), [("0:1.0", "1.0"), ("1.00", "1.0"), ("1.0-0", "1.0")])
def test_equal_versions(first: str, second: str) -> None:
    assert version_key(first) == version_key(second)


def test_a_part_that_ends_sooner_is_older() -> None:
    assert version_key("1.0") < version_key("1.0.0")
    assert version_key("1") < version_key("1a")
    assert version_key("1~~") < version_key("1~") < version_key("1")
