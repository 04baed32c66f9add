"""The files of the web page and of the reference, as they are sent.

Our own page rather than a framework's: it keeps no connection and no state in the server, so that
any process can answer any request; it is small; and nothing in it is inline, so that a strict
content security policy is possible.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = "page.html"
REFERENCE = "reference.html"
POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "cache-control": "no-cache",  # revalidated each time, and answered with 304
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file, with its headers."""

    content: bytes
    kind: str
    tag: str  # etag

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        named = {**HEADERS, "etag": self.tag}
        return tuple((name.encode(), value.encode()) for name, value in named.items())


@cache
def files() -> dict[str, File]:
    """Returns all files by name; they are read at the first call."""
    return {path.name: read(path) for path in ASSETS.iterdir() if path.suffix in KINDS}


def read(path: Path) -> File:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return File(content, KINDS[path.suffix], tag)
