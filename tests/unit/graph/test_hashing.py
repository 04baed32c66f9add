import hashlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.graph.hashing import (
    LONGEST_RECENT,
    HashedTexts,
    HashingOptions,
    TextHasher,
    character_grams,
)

HASHER = TextHasher(HashingOptions(buckets=1_024))
WHOLE = TextHasher(HashingOptions(max_characters=200_000))
TEXTS = st.lists(st.text(max_size=60), min_size=1, max_size=6)


def row(hashed: HashedTexts, index: int) -> dict[int, float]:
    part = slice(hashed.indptr[index], hashed.indptr[index + 1])
    return dict(zip(hashed.buckets[part].tolist(), hashed.weights[part].tolist(), strict=True))


@given(TEXTS)
@settings(max_examples=40)
def test_a_text_does_not_depend_on_its_neighbors_in_the_batch(texts: list[str]) -> None:
    together = HASHER(texts)
    for index, text in enumerate(texts):
        alone = HASHER([text])
        assert row(together, index) == row(alone, 0)


def test_recent_words_are_kept_but_not_long_ones() -> None:
    hasher = TextHasher(HashingOptions(buckets=1_024))
    text = "draws maps " + "x" * (LONGEST_RECENT + 1)
    first, second = hasher([text]), hasher([text])
    assert row(first, 0) == row(second, 0)
    kept = hasher.recent.cache_info()
    assert (kept.currsize, kept.hits) == (2, 2)


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


SENTENCES = (
    "",
    "a",
    "an",
    "net",
    "A fast JSON parser, written in C; it reads 2 GB/s (on one core).",
    "libc6-dev, gcc-12 & python3.11_x",
    "Größe, Straße und ÆSIR: naïve façade — “quoted”",
    "İstanbul'un güzel \u0131ş\u0131klar\u0131",
    "графовая нейронная сеть",
    "图神经网络 と グラフ 신경망",
    "🕸️ 👩‍💻 nodes \U0001d50a\U0001d52f\U0001d51e\U0001d52d\U0001d525",
    "e\u0301 and \u00e9, \ufb01 and fi, \u0130",
    "tab\there\nnew\r\nline\x0bvertical\x1cfile\x1funit\x85next\u2028line\u3000wide  two",
    "nothing\x00after \x00 zero\x7f",
    " \t\n ",
    "\ufeffmarked \u200bzero width",
    "word " * 3_000,
    "x" * 20_000,
    "Ωmega 図 " * 5_000,
)


@cache
def reference(options: HashingOptions) -> tuple[Any, Any, Any]:
    """scikit-learn's grams of words and of characters, and its hasher of them."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    words = text.HashingVectorizer(ngram_range=options.word_ngrams)
    characters = text.HashingVectorizer(analyzer="char_wb", ngram_range=options.character_ngrams)
    hasher = pytest.importorskip("sklearn.feature_extraction").FeatureHasher(
        options.buckets, input_type="string", alternate_sign=False, dtype=np.float32
    )
    return words.build_analyzer(), characters.build_analyzer(), hasher


def check_against_reference(hasher: TextHasher, texts: list[str]) -> None:
    words, characters, features = reference(hasher.options)
    grams = []
    for text in texts:
        text = text[: hasher.options.max_characters]
        grams.append([*words(text), *("\x1f" + gram for gram in characters(text))])
        own, spaced = hasher.parts(text)
        lengths = hasher.options.character_ngrams
        own += [gram for word in spaced for gram in character_grams(word, *lengths)]
        assert own == grams[-1]
    expected = features.transform(grams)
    hashed = hasher(texts)
    assert np.array_equal(hashed.indptr, expected.indptr)
    assert np.array_equal(hashed.buckets, expected.indices)
    counts = np.log1p(expected.data)
    for index in range(len(texts)):
        part = slice(*hashed.indptr[index : index + 2])
        norm = np.linalg.norm(counts[part].astype(np.float64))
        assert np.allclose(hashed.weights[part], counts[part] / norm, rtol=1e-6, atol=0)


@pytest.mark.parametrize("buckets", [2**16, 1_000])
@pytest.mark.parametrize("word_ngrams", [(1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("character_ngrams", [(1, 2), (3, 5), (4, 4)])
def test_grams_and_buckets_are_those_of_scikit_learn(
    buckets: int, word_ngrams: tuple[int, int], character_ngrams: tuple[int, int]
) -> None:
    options = HashingOptions(buckets, word_ngrams, character_ngrams, max_characters=30_000)
    check_against_reference(TextHasher(options), list(SENTENCES))


@given(TEXTS)
def test_grams_and_buckets_of_any_text_are_those_of_scikit_learn(texts: list[str]) -> None:
    check_against_reference(WHOLE, texts)


def test_the_buckets_of_every_kind_of_text_do_not_change() -> None:
    """What bundles of earlier releases were trained on, with or without scikit-learn at hand."""
    hashed = TextHasher(HashingOptions())(SENTENCES)
    data = hashed.indptr.astype("<i8").tobytes() + hashed.buckets.astype("<i4").tobytes()
    assert hashlib.sha256(data).hexdigest() == KNOWN_DIGEST
    assert HashingOptions().digest == OPTIONS_DIGEST


@pytest.mark.parametrize("text", ["\ud800", "half \udfff a character"])
def test_half_a_character_is_an_error(text: str) -> None:
    for texts in ([text], ["whole", text]):
        with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
            HASHER(texts)


KNOWN_BUCKETS = [6758, 10428, 12318, 28150]
KNOWN_DIGEST = "3b59440efe0222fc69806028a2a18048af448cdedd610fe0429113050a9d8b22"
OPTIONS_DIGEST = "e712d635530794d565b2192ca4a3c5e0a694d89c51c518dd3f165d7b4276034f"
