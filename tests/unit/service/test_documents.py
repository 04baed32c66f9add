"""The generated lists in the documentation are complete."""

import re
from pathlib import Path

from service.http.errors import STATUS_OF
from service.telemetry.metrics import PREFIX, Counter, Histogram, Metrics

DOCS = Path(__file__).parents[3] / "docs"


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = re.findall(
        r"^\| (\d{3}) \| (.*?) \|", (DOCS / "reference" / "http.md").read_text(), re.MULTILINE
    )
    documented = {
        (code, int(status)) for status, cell in rows for code in re.findall(r"`(\w+)`", cell)
    }
    declared = {(kind.code, status) for kind, status in STATUS_OF.items()}
    assert declared <= documented
    assert {code for code, _ in documented - declared} == {
        "not_found",
        "method_not_allowed",
        "internal_error",
    }


def test_every_metric_is_documented() -> None:
    text = (DOCS / "guides" / "operations.md").read_text()
    kinds = [v for v in vars(Metrics()).values() if isinstance(v, Counter | Histogram)]
    for kind in kinds:
        suffix = "_total" if isinstance(kind, Counter) else ""
        assert f"`{kind.name.removeprefix(PREFIX)}{suffix}`" in text
