"""Usual names of columns, each in the form that `plain` gives."""

import re
from functools import lru_cache

from understudy.graph.errors import BadInputError

# Most specific first. A colon separates a column's own name for Neo4j (`paperId:ID`).
ID_NAMES = ("id", ":id", "~id", "node_id", "nodeid", "node", "uid", "nid")
OWN_ID_NAMES = (
    "paper_id",
    "user_id",
    "item_id",
    "product_id",
    "article_id",
    "document_id",
    "doc_id",
    "page_id",
    "asin",
    "sku",
    "gtin",
    "ean",
    "upc",
    "isbn",
)
NAMING_NAMES = ("key", "name")  # of a node, if nothing else identifies nodes
NO_NODE_IDS = ("class_id", "label_id", "category_id", "group_id", "split_id", "parent_id")
TEXT_NAMES = ("text", "raw_text", "raw_texts", "content", "full_text")
TITLE_NAMES = ("title",)
SUBJECT = "subject"  # the title of a message, or the class of a paper
MESSAGE_NAMES = ("body", "message", "content", "description", "text")
BODY_NAMES = ("abstract", "abs", "body", "description", "summary", "message")
NAMED = "name"  # what `NAMED_BODIES` describe, unless it is the id
NAMED_BODIES = ("description", "summary")
LABEL_NAMES = ("label", "class", "category", "y", "section", SUBJECT)
CLASS_NAME_NAMES = ("label_name", "label_text", "class_name", "category_name")
SPLIT_NAMES = ("split",)
LOOSE_SPLIT_NAMES = (  # a split only if they hold its words, among them one for train
    "set",
    "subset",
    "fold",
    "partition",
    "data_split",
    "dataset_split",
    "dataset",
    "phase",
    "usage",
    "part",
)
MASK_NAMES = (  # of train, val and test
    ("train_mask", "is_train", "train"),
    ("val_mask", "valid_mask", "is_val", "is_valid", "val", "valid", "validation", "dev"),
    ("test_mask", "is_test", "test"),
)
NEIGHBOR_NAMES = (
    "neighbors",
    "neighbours",
    "neighbor_ids",
    "neighbour_ids",
    "neighbor",
    "neighbour",
    "adjacency_list",
    "references",
)
ENDPOINT_NAMES = (
    ("source", "target"),
    ("src", "dst"),
    ("from", "to"),
    ("source_id", "target_id"),
    ("src_id", "dst_id"),
    ("from_id", "to_id"),
    ("sourceid", "targetid"),
    ("source", "destination"),
    ("src", "dest"),
    ("head", "tail"),
    ("u", "v"),
    ("citing", "cited"),
    (":start_id", ":end_id"),
    ("~from", "~to"),
    ("id_1", "id_2"),
    ("id1", "id2"),
    ("node_1", "node_2"),
    ("node1", "node2"),
    ("fromnodeid", "tonodeid"),
    ("from_node_id", "to_node_id"),
    ("from_node", "to_node"),
    ("source_node", "target_node"),
    ("start_id", "end_id"),
    ("start", "end"),
    ("subject", "object"),
    ("txid1", "txid2"),
)
NEO4J_ROLES = ("id", "start_id", "end_id", "label", "type")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=4096)
def plain(column: str) -> str:
    """A column's name in lower case with underscores, without a type after a colon.

    `Node ID` and `node-id` are `node_id`, `text:string` is `text`, `paperId:ID(Paper)` is `:id`.
    """
    name, colon, kind = column.strip().partition(":")
    kind = kind.partition("(")[0].strip().lower()
    if colon and kind in NEO4J_ROLES:
        return f":{kind}"
    return re.sub(r"[\s\-]+", "_", name.strip()).lower() if name else column.strip().lower()


def ends_in_id(column: str) -> bool:
    """Whether a name ends like an identifier: `user_id`, `movieId`, `Ticket ID`."""
    spelled = plain(CAMEL.sub("_", column.strip()))
    return spelled.endswith("_id") and spelled not in NO_NODE_IDS


def check_named(**names: object) -> None:
    """Refuses names that are not strings, such as None or column numbers.

    Args:
        names: argument name → the name of a column or a key.

    Raises:
        BadInputError: it is something else.
    """
    for name, value in names.items():
        if not isinstance(value, str):
            raise BadInputError(
                f"{name} must be a name, 'none' to read none, or '' to have it looked for, "
                f"not {value!r:.60}; what is called by a number is named by its digits"
            )
