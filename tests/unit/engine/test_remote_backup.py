"""A backup in a store comes back as it was, or not at all."""

import json
from pathlib import Path

import pytest

from tests.bundles import TinyBundle
from tests.unit.engine.changes import ids_of
from understudy.engine import Engine
from understudy.engine.commands import backup, restore
from understudy.engine.errors import BackupError
from understudy.engine.placing import JOURNAL_FILE
from understudy.engine.remote_backup import restore_stored, store_backup
from understudy.folders.kinds import BACKUP
from understudy.graph.errors import SnapshotStoreError
from understudy.graph.mutations import UpsertNode


@pytest.fixture
def data(tiny_bundle: TinyBundle, tmp_path: Path) -> Path:
    """Of a graph with a snapshot of one change, and one change after it."""
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        engine.apply([UpsertNode("one", "json")], "key")
        engine.snapshot()
        engine.apply([UpsertNode("two", "json")])
    return tmp_path / "data"


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_backup_in_a_bucket_is_restored(
    tiny_bundle: TinyBundle,
    data: Path,
    tmp_path: Path,
    scheme: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"{scheme}://{tmp_path}/store/monday"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        backup(data, url)
        engine.apply([UpsertNode("later", "json")])
    restore(url, tmp_path / "restored")
    assert capsys.readouterr().out.count("graph version 2 (snapshot-1") == 2
    with Engine.open(tiny_bundle.folder, data=tmp_path / "restored") as engine:
        assert {"one", "two"} <= ids_of(engine)
        assert "later" not in ids_of(engine)
        assert engine.apply([UpsertNode("one", "json")], "key").repeated


def test_an_older_one_stays(data: Path, tmp_path: Path) -> None:
    url = (tmp_path / "monday").as_uri()
    store_backup(data, url)
    before = (tmp_path / "monday" / BACKUP.marker).read_bytes()
    with pytest.raises(BackupError, match="already holds a backup"):
        store_backup(data, url)
    with pytest.raises(BackupError, match="--force works only for folders"):
        store_backup(data, f"{url}-2", force=True)
    assert (tmp_path / "monday" / BACKUP.marker).read_bytes() == before


def test_what_is_not_whole_is_no_backup(data: Path, tmp_path: Path) -> None:
    """As an upload that was killed left it; sent again, it is whole."""
    url, restored = (tmp_path / "monday").as_uri(), tmp_path / "restored"
    store_backup(data, url)
    (tmp_path / "monday" / BACKUP.marker).unlink()
    with pytest.raises(BackupError, match="not a complete backup"):
        restore_stored(url, restored)
    store_backup(data, url)
    (tmp_path / "monday" / JOURNAL_FILE).write_bytes(b"x")
    with pytest.raises(BackupError, match=r"damaged: journal\.sqlite is not the file"):
        restore_stored(url, restored)
    (tmp_path / "monday" / JOURNAL_FILE).unlink()
    with pytest.raises(SnapshotStoreError, match=r"cannot be read \(BACKUP\)"):
        restore_stored(url, restored)
    assert not restored.exists()


def test_no_name_in_it_leads_out_of_its_folder(data: Path, tmp_path: Path) -> None:
    url = (tmp_path / "monday").as_uri()
    store_backup(data, url)
    marker = tmp_path / "monday" / BACKUP.marker
    body = json.loads(marker.read_text(encoding="utf-8"))
    body["files"]["../escaped"] = body["files"][JOURNAL_FILE]
    marker.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(BackupError, match=r"names \.\./escaped"):
        restore_stored(url, tmp_path / "restored")


def test_a_store_that_is_none_is_told(data: Path) -> None:
    with pytest.raises(SnapshotStoreError, match=r"the store nowhere://x cannot be used \(OUT\)"):
        store_backup(data, "nowhere://user:secret@x")
