"""A client whose environment names a proxy or certificates that cannot be used."""

from pathlib import Path

import pytest

from understudy.client import AsyncClient, Client, InvalidRequestError

HERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "foo://127.0.0.1:1"), ("SSL_CERT_FILE", "missing")],
)
def test_a_variable_that_allows_no_connection_is_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: type[Client] | type[AsyncClient],
    name: str,
    value: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidRequestError, match=rf"no connection can be made.*{name.upper()}"):
        kind(HERE)
    monkeypatch.delenv(name)
    kind(HERE)
