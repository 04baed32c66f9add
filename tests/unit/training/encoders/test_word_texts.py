"""Texts stored as words give the same rows as texts hashed at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import StudentConfig
from training.encoders.features import HashedFeatures
from training.encoders.word_texts import WordReader, WordTexts
from training.student.network import Student
from understudy.graph.hashing import HashedTexts, HashingOptions, TextHasher

OPTIONS = HashingOptions(buckets=1_024)
SENTENCES = [
    "a fast JSON parser, written in C; it reads fast",
    "",
    "net",
    "Größe, Straße: naïve façade",
    "図 net 図 net",
    " \t\n ",
    "libc6-dev, gcc-12 & python3.11_x",
    "x" * 3_000,
]


def read(texts: list[str], step: int = 3, options: HashingOptions = OPTIONS) -> WordTexts:
    reader = WordReader(options)
    for start in range(0, len(texts), step):
        reader.read(texts[start : start + step])
    return reader.texts()


def check_equal(found: HashedTexts, expected: HashedTexts) -> None:
    for name in ("indptr", "buckets", "weights"):
        own, other = getattr(found, name), getattr(expected, name)
        assert own.dtype == other.dtype
        assert np.array_equal(own, other)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
@settings(max_examples=30)
def test_rows_are_those_of_texts_hashed_at_once(texts: list[str]) -> None:
    check_equal(read(texts).rows(np.arange(len(texts))), TextHasher(OPTIONS)(texts))


@pytest.mark.parametrize("words", [(1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("characters", [(1, 2), (3, 5)])
def test_whatever_the_n_grams(words: tuple[int, int], characters: tuple[int, int]) -> None:
    options = HashingOptions(500, words, characters)
    hashed = TextHasher(options)(SENTENCES)
    kept = read(SENTENCES, options=options)
    check_equal(kept.rows(np.arange(len(SENTENCES))), hashed)
    picked = np.array([4, 0, 4, 1])
    check_equal(kept.rows(picked), hashed.rows(picked))
    assert len(kept) == len(SENTENCES)
    assert (kept.lengths() >= hashed.lengths()).all()
    assert kept.lengths()[1] == 0


def test_what_is_read_again_and_again_is_put_together_where_it_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = HashedFeatures(read(SENTENCES), OPTIONS.buckets)
    monkeypatch.setattr("training.encoders.features.GATHERED", int(features.texts.lengths().sum()))
    gathered = features.gathered()
    assert isinstance(gathered.texts, HashedTexts)
    assert gathered.gathered() is gathered
    picked = np.array([4, 0, 4, 1])
    check_equal(gathered.texts.rows(picked), features.texts.rows(picked))
    monkeypatch.setattr("training.encoders.features.GATHERED", len(gathered.texts.buckets) - 1)
    assert features.gathered() is features


def test_recurring_words_are_kept_once() -> None:
    kept = read(["a fast parser of words"] * 500, step=100)
    assert kept.word_buckets.nbytes < 1_000
    assert (
        kept.entries.nbytes < TextHasher(OPTIONS)(["a fast parser of words"] * 500).buckets.nbytes
    )


def test_half_a_character_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        read(["whole", "half \udfff a character"])


def test_a_student_reads_some_texts_at_a_time_as_it_reads_all_at_once() -> None:
    student = Student(StudentConfig(hidden=16), OPTIONS.buckets, 3, hashed=True).eval()
    torch.nn.init.normal_(student.input.table)  # type: ignore[arg-type]
    features = HashedFeatures(read(SENTENCES), OPTIONS.buckets, step=3)
    with torch.no_grad():
        assert features.in_steps
        some = student.embed(features)
        assert "rows" not in vars(features)  # which would be as large as all n-grams
        assert features.rows.shape == (len(SENTENCES), OPTIONS.buckets)
        assert not features.in_steps
        assert torch.allclose(some, student.embed(features), atol=1e-6)


def test_several_threads_read_texts_for_inference() -> None:
    student = Student(StudentConfig(hidden=16), OPTIONS.buckets, 3, hashed=True).eval()
    features = HashedFeatures(read(SENTENCES), OPTIONS.buckets, step=3)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with torch.inference_mode():
            shared = student.embed(features)
        torch.set_num_threads(1)
        with torch.no_grad():
            assert torch.equal(shared, student.embed(features))
    finally:
        torch.set_num_threads(threads)
