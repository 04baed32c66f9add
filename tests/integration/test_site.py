"""The site builds, strictly and without a network."""

from pathlib import Path

from documents.site import build_site


def test_the_site_builds(tmp_path: Path) -> None:
    site = build_site(tmp_path)  # raises where a link leads nowhere
    assert "<h1" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "docs" / "guides" / "tickets.html").is_file()
    assert (site / "search.json").is_file()
