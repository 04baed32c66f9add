"""JSON on stdout."""

import json
import sys
from typing import Any


def printed_json(value: Any) -> str:
    """Encodes JSON with characters that stdout can encode.

    For an encoding other than Unicode, all other characters get JSON escapes, because stdout's own
    replacements are not valid JSON.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    all_letters = encoding.lower().startswith("utf")
    return json.dumps(value, indent=2, ensure_ascii=not all_letters)
