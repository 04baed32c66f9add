"""Stanzas of a package index: packages, their links, and their descriptions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from understudy.graph.readers.debian_version import version_key

LINK_FIELDS = ("Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances")
PACKAGE_FIELDS = {
    *LINK_FIELDS,
    "Package",
    "Version",
    "Source",
    "Section",
    "Description",
    "Description-en",
    "Description-md5",
}
# Alternatives and items; then the suffixes of a name: qualifier, version, architectures, profile.
SEPARATORS = re.compile(r"[,|]")
AFTER_NAME = re.compile(r"[\s:(\[<]")


@dataclass(frozen=True, slots=True)
class Package:
    """A binary package, newest version."""

    name: str
    version: str
    source: str  # the source package that it is built from
    section: str  # without the area; empty if the index has none
    links: tuple[str, ...]  # names of packages it refers to, each once, in order
    description: str  # synopsis, possibly with the long description
    description_key: str  # finds the long description in a translation file


def fields_of(stanza: str, wanted: set[str]) -> dict[str, str]:
    """The wanted fields; continuation lines stay, each after a line break."""
    fields: dict[str, str] = {}
    current = ""
    for line in stanza.split("\n"):
        if line[:1] in (" ", "\t"):
            if current:
                fields[current] += "\n" + line
            continue
        name, _, value = line.partition(":")
        current = name if name in wanted else ""
        if current:
            fields[current] = value.strip()
    return fields


def package_of(stanza: str) -> Package | None:
    """The package that a stanza describes; None if it describes none."""
    fields = fields_of(stanza, PACKAGE_FIELDS)
    name = fields.get("Package", "")
    if not name:
        return None
    return Package(
        name=name,
        version=fields.get("Version", ""),
        source=(fields.get("Source") or name).split(" ", 1)[0],
        section=fields.get("Section", "").rpartition("/")[2],
        links=link_names(fields[field] for field in LINK_FIELDS if field in fields),
        description=fields.get("Description-en") or fields.get("Description", ""),
        description_key=fields.get("Description-md5", ""),
    )


def link_names(values: Iterable[str]) -> tuple[str, ...]:
    """The names in relation fields: every alternative counts, constraints do not."""
    names = (
        AFTER_NAME.split(item.strip(), maxsplit=1)[0]
        for value in values
        for item in SEPARATORS.split(value)
    )
    return tuple(dict.fromkeys(name for name in names if name))


def newest(packages: Iterable[Package]) -> tuple[dict[str, Package], int]:
    """The newest version of every package, by name, and the number of dropped records."""
    chosen: dict[str, Package] = {}
    left_out = 0
    for package in packages:
        known = chosen.get(package.name)
        left_out += known is not None
        if known is None or version_key(package.version) > version_key(known.version):
            chosen[package.name] = package
    return chosen, left_out


def translation_of(stanza: str) -> tuple[str, str, str]:
    """Package name, description key and English description of a translation stanza."""
    fields = fields_of(stanza, {"Package", "Description-md5", "Description-en"})
    return (
        fields.get("Package", ""),
        fields.get("Description-md5", ""),
        fields.get("Description-en", ""),
    )


def clean_description(description: str) -> str:
    """Synopsis, a line break, and the long description as paragraphs.

    Lines that start with one blank form a paragraph; those with more are separate lines (lists); a
    lone dot separates paragraphs.
    """
    synopsis, *lines = description.split("\n")
    paragraphs: list[str] = []
    running = False
    for line in lines:
        content = line.strip()
        if content in ("", "."):
            running = False
        elif running and not line.startswith("  "):
            paragraphs[-1] += " " + content
        else:
            paragraphs.append(content)
            running = not line.startswith("  ")
    return "\n".join(part for part in (" ".join(synopsis.split()), *paragraphs) if part)
