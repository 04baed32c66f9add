"""The lock files: what the images install is what the tests ran on."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
PINNED = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z0-9,]+\])?==([^ ;\\]+)", re.MULTILINE)


def pins(name: str) -> dict[str, set[str]]:
    """Versions by package; several where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for package, version in PINNED.findall((FOLDER / f"{name}.txt").read_text(encoding="utf-8")):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("image", ["serve", "serve-gpu", "build"])
def test_an_image_has_the_versions_that_tests_run_on(image: str) -> None:
    tested, installed = pins("all"), pins(image)
    shared = tested.keys() & installed.keys()
    assert {"numpy", "typer"} <= shared
    assert {name: installed[name] for name in shared} == {name: tested[name] for name in shared}
