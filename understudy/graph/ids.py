"""The rule for node ids, shared by every import, every change and every client."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.folders.names import FORBIDDEN, SEEN, character_problem, sight_problem

LONGEST_ID = 2_048  # bytes of UTF-8: percent-encoded, it fits the 8 KiB that proxies allow a path


def id_problem(node_id: str) -> str | None:
    """Why a text cannot be a node's id, or None; the text continues "a node's id"."""
    if not node_id or node_id != node_id.strip():
        return "must not be empty or begin or end with a blank"
    if problem := character_problem(node_id) or sight_problem(node_id):
        return problem
    if len(node_id) * 4 > LONGEST_ID and (size := len(node_id.encode())) > LONGEST_ID:
        return f"has {size:,} bytes; at most {LONGEST_ID:,} are allowed"
    return None


def first_unusable(ids: pa.LargeStringArray) -> int | None:
    """The position of the first id, of many, that `id_problem` refuses."""
    refused = pc.or_(
        pc.match_substring_regex(ids, f"[{FORBIDDEN}]"),
        pc.greater(pc.binary_length(ids), LONGEST_ID),
    )
    seen = pc.match_substring_regex(ids, SEEN)
    refused = pc.or_(refused, pc.invert(seen))
    refused = pc.or_(refused, pc.not_equal(pc.utf8_trim_whitespace(ids), ids))
    refused = pc.fill_null(pc.or_(refused, pc.equal(ids, "")), True)
    flags = refused.to_numpy(zero_copy_only=False)
    return int(np.argmax(flags)) if flags.any() else None
