"""The package index, with invented stanzas."""

from dataclasses import replace
from pathlib import Path

import pytest

from understudy.graph import SourceError
from understudy.graph.readers import apt
from understudy.graph.readers.debian import package_graph, read_descriptions, read_packages
from understudy.graph.readers.debian_control import (
    clean_description,
    link_names,
    newest,
    package_of,
    translation_of,
)

PACKAGES = """\
Package: lamp
Version: 2.0-1
Source: lighting (2.0)
Section: contrib/home
Depends: wire (>= 1.0) [amd64], bulb:any | candle <!nocheck>,
 socket
Pre-Depends: wire
Suggests: ghost
Description: Lights a room
Description-md5: k1

Package: wire
Version: 1.0
Section: parts
Description: Carries current
 It is made of copper.
 .
 Colours:
  * red
  * blue

Package: lamp
Version: 10.0-1
Source: lighting (10.0)
Section: contrib/home
Depends: wire, lamp
Description: Lights a large room
Description-md5: k2

Package: bulb
Version: 1.0
Source: lighting
Section: home
Enhances: lamp
Description: Glows

Package: mute
Version: 1.0
Section: home

Package: socket
Version: 1.0
Description: Holds a plug
"""
TRANSLATIONS = """\
Package: lamp
Description-md5: k1
Description-en: Lights a room
 The old one.

Package: lamp
Description-md5: k2
Description-en: Lights a large room
 The new one shines
 brightly.

Package: ghost
Description-md5: k3
Description-en: Is not in the index
"""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> apt.AptIndex:
    """An index of the stanzas above."""
    contents = {"packages": PACKAGES, "translations": TRANSLATIONS}
    read = lambda path: (part for part in contents[path.name].split("\n\n") if part.strip())  # noqa: E731
    monkeypatch.setattr("understudy.graph.readers.debian.read_index_file", read)
    return apt.AptIndex(
        (apt.IndexFile(Path("packages"), "Packages"),),
        (apt.IndexFile(Path("translations"), "Translations"),),
        "Test 1.0",
    )


def silent(stage: str, done: int, total: int) -> None:
    pass


def test_a_stanza_becomes_a_package() -> None:
    package = package_of(PACKAGES.split("\n\n")[0])
    assert package is not None
    assert (package.name, package.version) == ("lamp", "2.0-1")
    assert (package.source, package.section) == ("lighting", "home")
    assert package.links == ("wire", "bulb", "candle", "socket", "ghost")
    assert package_of("Origin: nothing that we know") is None


def test_link_names_drop_versions_architectures_qualifiers_and_profiles() -> None:
    value = "a (>= 1), b:any|c [amd64 !i386] , d<!x>,\n e, , a"
    assert link_names([value, "f"]) == ("a", "b", "c", "d", "e", "f")


def test_the_newest_version_wins_whatever_the_order() -> None:
    packages = [package_of(stanza) for stanza in PACKAGES.split("\n\n")]
    known = [package for package in packages if package is not None]
    for order in (known, known[::-1]):
        chosen, left_out = newest(order)
        assert chosen["lamp"].version == "10.0-1"
        assert left_out == 1


def test_descriptions_become_a_title_and_paragraphs() -> None:
    description = (
        "Carries  current\n It is made\n of copper.\n .\n Colours:\n  * red\n  * blue\n Good."
    )
    assert clean_description(description) == (
        "Carries current\nIt is made of copper.\nColours:\n* red\n* blue\nGood."
    )
    assert clean_description("") == ""
    assert clean_description("Only a synopsis") == "Only a synopsis"


def test_a_translation() -> None:
    name, key, description = translation_of(TRANSLATIONS.split("\n\n")[0])
    assert (name, key, description) == ("lamp", "k1", "Lights a room\n The old one.")


def test_the_whole_graph(index: apt.AptIndex) -> None:
    packages, older = read_packages(index, silent)
    assert older == 1
    descriptions = read_descriptions(index, packages, silent)
    built = package_graph(packages, descriptions, "test")
    graph = built.graph
    assert graph.ids.to_pylist() == ["bulb", "lamp", "socket", "wire"]
    assert graph.texts[1].as_py() == "Lights a large room\nThe new one shines brightly."
    assert graph.texts[3].as_py().startswith("Carries current\nIt is made of copper.\nColours:\n*")
    assert graph.label_names == ("home", "parts")
    assert graph.labels.tolist() == [0, 0, -1, 1]
    assert graph.groups is not None
    assert graph.groups.tolist() == [0, 0, 1, 2]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 3]]
    assert {repair.kind: repair.count for repair in built.repairs} == {
        "packages_without_text": 1,
        "self_loops": 1,
    }


def test_unknown_targets_are_ignored_and_counted(index: apt.AptIndex) -> None:
    packages, _ = read_packages(index, silent)
    packages["lamp"] = replace(packages["lamp"], links=("ghost", "wire", "nowhere"))
    notes = package_graph(packages, {}, "test").graph.notes
    assert notes["unknown_targets"] == 2


def test_source_packages_are_not_cut_by_the_split(index: apt.AptIndex) -> None:
    packages, _ = read_packages(index, silent)
    template = packages["wire"]
    many = {f"p{i:03}": replace(template, name=f"p{i:03}", source=f"s{i // 3}") for i in range(90)}
    graph = package_graph(many, {}, "test").graph
    assert graph.groups is not None
    parts = [set(graph.groups[members].tolist()) for members in graph.splits.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 30


def test_a_machine_without_apt_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"there is no apt-get on this machine.*data synth"):
        apt.fetch_index(tmp_path / "state")


@pytest.fixture
def fake_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that complains and fetches nothing."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'W: something odd' >&2\necho 'E: no route' >&2\nexit 100\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


@pytest.mark.usefixtures("fake_apt")
def test_apt_s_own_complaint_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="fetched no package index: E: no route"):
        apt.fetch_index(tmp_path / "state")


@pytest.mark.usefixtures("fake_apt")
def test_offline_without_an_index_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="run once without --offline"):
        apt.fetch_index(tmp_path / "state", offline=True)


@pytest.mark.usefixtures("fake_apt")
def test_a_cache_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="set UNDERSTUDY_CACHE"):
        apt.fetch_index(tmp_path / "file" / "state")


def test_the_files_that_apt_lists_are_used(fake_apt: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    lists = {"Packages": tmp_path / "one_Packages", "Translations": tmp_path / "one_Translation-en"}
    for path in lists.values():
        path.write_text("")
    lines = [
        f"Packages|amd64|Test|1.0|nova|{lists['Packages']}",
        f"Translations||Test|1.0|nova|{lists['Translations']}",
        f"Packages|amd64|Test|1.0|nova|{tmp_path / 'not-fetched'}",
        f"Contents|amd64|Test|1.0|nova|{lists['Packages']}",
    ]
    fake_apt.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    index = apt.fetch_index(state, offline=True)
    assert [file.path for file in index.packages] == [lists["Packages"]]
    assert [file.path for file in index.translations] == [lists["Translations"]]
    assert index.release == "Test 1.0 nova"
