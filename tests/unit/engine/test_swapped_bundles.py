"""A bundle replaced while it is opened: only verified files are loaded."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundles import TinyBundle, write_tiny_bundle
from understudy.bundle import BundleDamagedError, open_bundle
from understudy.bundle.student import LOGITS_FILE
from understudy.engine import Engine
from understudy.engine.beginnings import verified

REPLACED = "was replaced or changed while it was being opened"


@pytest.fixture
def places(tiny_bundle: TinyBundle, tmp_path: Path) -> Path:
    """A folder with a bundle, another one of the same graph, and a link to the first."""
    shutil.copytree(tiny_bundle.folder, tmp_path / "bundle")
    write_tiny_bundle(tmp_path / "other", seed=12)
    (tmp_path / "link").symlink_to("bundle")
    return tmp_path


def swap(places: Path) -> None:
    (places / "bundle").rename(places / "aside")
    (places / "other").rename(places / "bundle")


def swap_and_swap_back(places: Path) -> None:
    swap(places)
    (places / "bundle").rename(places / "other")
    (places / "aside").rename(places / "bundle")


def lead_elsewhere_and_back(places: Path) -> None:
    for target in ("other", "bundle"):
        (places / "new").symlink_to(target)
        (places / "new").rename(places / "link")


def put_another_file(places: Path) -> None:
    (places / "other" / LOGITS_FILE).replace(places / "bundle" / LOGITS_FILE)


def remove(places: Path) -> None:
    shutil.rmtree(places / "bundle")


@pytest.mark.parametrize("name", ["bundle", "link"])
@pytest.mark.parametrize(
    "change", [swap, swap_and_swap_back, put_another_file, remove], ids=lambda one: one.__name__
)
def test_a_bundle_replaced_while_it_is_opened_is_refused(
    places: Path, name: str, change: Callable[[Path], None]
) -> None:
    bundle = open_bundle(places / name, verify=False)
    with pytest.raises(BundleDamagedError, match=f"{name} {REPLACED}"), verified(bundle):
        change(places)


def test_a_link_that_led_elsewhere_meanwhile_is_noticed(places: Path) -> None:
    bundle = open_bundle(places / "link", verify=False)
    with pytest.raises(BundleDamagedError, match=f"link {REPLACED}"), verified(bundle):
        lead_elsewhere_and_back(places)


def test_files_beside_and_above_may_change(places: Path) -> None:
    bundle = open_bundle(places / "bundle", verify=False)
    with verified(bundle):
        (places / "beside").write_text("x")
        (places / "bundle" / LOGITS_FILE).chmod(0o600)


def test_a_served_engine_is_not_followed_by_one_that_mixes_bundles(places: Path) -> None:
    """The digests may be right, and so may be what was loaded: but not of the same bundle."""

    def swap_once(stage: str, done: int, total: int) -> None:
        if not (places / "aside").exists():
            swap_and_swap_back(places)
            (places / "aside").mkdir()

    with Engine.open(places / "bundle") as before:
        with pytest.raises(BundleDamagedError, match=REPLACED):
            Engine.open(places / "bundle", before=before, progress=swap_once)
        with Engine.open(places / "bundle", before=before) as after:
            assert after.model_version == before.model_version
