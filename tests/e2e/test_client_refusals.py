"""What the client says of a service that refuses a request for now, every time it is asked."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import serving
from understudy.client import Client, InvalidRequestError, UnavailableError
from understudy.client.attempts import Retries

TWICE = Retries(attempts=2, first_pause=0.01, longest_pause=0.02)


def test_the_services_own_reason_is_told(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        serving(tiny_bundle.folder, "--data-folder", str(data)) as service,
        Client(service.url, retries=TWICE) as client,
    ):
        data.rename(tmp_path / "moved")
        with pytest.raises(UnavailableError) as refused:
            client.delete_node("node-3")
        (tmp_path / "moved").rename(data)
    words = f"{service.url} refuses for now: the last of 2 attempts failed with status 503, "
    assert str(refused.value).startswith(f"{words}journal_failed: journal.sqlite, or its -wal")
    assert refused.value.code == "journal_failed"
    assert pickle.loads(pickle.dumps(refused.value)).code == "journal_failed"


def test_a_rate_limit_is_told(tiny_bundle: TinyBundle) -> None:
    flags = ["--rate-limit", "0.001", "--rate-burst", "1"]
    with serving(tiny_bundle.folder, *flags) as service, Client(service.url, retries=TWICE) as one:
        one.node("node-1")
        with pytest.raises(UnavailableError, match="status 429, rate_limited: more requests"):
            one.node("node-1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempts", 0), ("attempts", 1.5), ("first_pause", -1), ("longest_pause", float("nan"))],
)
def test_retries_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError, match=f"{name} is {value!r}; give"):
        Retries(**{name: value})
