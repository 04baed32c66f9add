"""JSON on stdout."""

import json
import sys
from typing import Any


def printed_json(value: Any) -> str:
    """JSON in letters that stdout can say.

    In another encoding than a Unicode one every other letter is escaped as JSON does it: what
    stdout itself writes in its place is no JSON.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    all_letters = encoding.lower().startswith("utf")
    return json.dumps(value, indent=2, ensure_ascii=not all_letters)
