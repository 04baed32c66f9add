import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph.hashing import HashedTexts, HashingOptions, TextHasher

HASHER = TextHasher(HashingOptions(buckets=1_024))
TEXTS = st.lists(st.text(max_size=60), min_size=1, max_size=6)


def row(hashed: HashedTexts, index: int) -> dict[int, float]:
    part = slice(hashed.indptr[index], hashed.indptr[index + 1])
    return dict(zip(hashed.buckets[part].tolist(), hashed.weights[part].tolist(), strict=True))


@given(TEXTS)
def test_a_text_does_not_depend_on_its_neighbors_in_the_batch(texts: list[str]) -> None:
    together = HASHER(texts)
    for index, text in enumerate(texts):
        alone = HASHER([text])
        assert row(together, index) == row(alone, 0)


@given(TEXTS)
def test_rows_have_unit_norm_or_are_empty(texts: list[str]) -> None:
    hashed = HASHER(texts)
    for index in range(len(texts)):
        weights = np.array(list(row(hashed, index).values()))
        assert len(weights) == 0 or np.isclose((weights**2).sum(), 1, atol=1e-5)


@given(TEXTS)
def test_padding_keeps_every_bucket_with_its_weight(texts: list[str]) -> None:
    hashed = HASHER(texts)
    buckets, weights = hashed.padded()
    assert buckets.shape == weights.shape
    for index in range(len(texts)):
        kept = weights[index] > 0
        pairs = zip(buckets[index][kept].tolist(), weights[index][kept].tolist(), strict=True)
        assert dict(pairs) == row(hashed, index)


def test_rows_are_picked_in_the_order_asked_for() -> None:
    hashed = HASHER(["a small tool", "", "draws maps of rivers"])
    picked = hashed.rows(np.array([2, 0]))
    assert row(picked, 0) == row(hashed, 2)
    assert row(picked, 1) == row(hashed, 0)


def test_words_count_without_regard_to_case_and_similar_words_share_buckets() -> None:
    assert row(HASHER(["Draws Maps"]), 0) == row(HASHER(["draws maps"]), 0)
    parser, parsers = (set(row(HASHER([text]), 0)) for text in ("parser", "parsers"))
    assert len(parser & parsers) > len(parser) / 2


def test_what_follows_the_last_read_character_is_ignored() -> None:
    short = TextHasher(HashingOptions(buckets=1_024, max_characters=9))
    assert row(short(["red tools for birds"]), 0) == row(short(["red tools"]), 0)


def test_the_digest_names_every_option() -> None:
    options = HashingOptions()
    others = [
        HashingOptions(buckets=2**10),
        HashingOptions(word_ngrams=(1, 1)),
        HashingOptions(character_ngrams=(3, 4)),
        HashingOptions(max_characters=10),
    ]
    assert len({options.digest, *(other.digest for other in others)}) == 5


def test_known_hashes_do_not_change() -> None:
    """A released bundle holds embeddings of these buckets; another hash would scramble them."""
    hashed = TextHasher(HashingOptions(character_ngrams=(3, 3)))(["net"])
    assert hashed.buckets.tolist() == KNOWN_BUCKETS


KNOWN_BUCKETS = [6758, 10428, 12318, 28150]
