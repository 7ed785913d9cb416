"""Exact neighbours by BM25: term scores of `bm25s`, summed by blocked sparse products."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import regex
import scipy.sparse

from ipt_jax.errors import InputError
from ipt_jax.retrieval.pool import Distinct, Neighbours, Pool, choose
from ipt_jax.retrieval.top_k import round_up, top_k
from ipt_jax.runtime import processes
from ipt_jax.runtime.log import Progress

METHODS = ("lucene", "robertson", "atire")
TERMS = ("auto", "words", "characters")
_WORD = re.compile(r"\w+")
# Letters with their marks; a vowel sign of Hindi is a mark, and `\w` alone would cut the word there.
_MARKED_WORD = regex.compile(r"[\w\p{M}]+")
# Scripts that put no blanks between words; they are cut out of what stands beside them.
_UNSPACED = regex.compile(
    r"((?:[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*)+)"
)
_CHARACTER = regex.compile(r"\X")
_SCORES_PER_BLOCK = 2**21  # 8 MiB of dense scores for each thread: more leaves the cores' caches and is slower
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Formula:
    """How a term counts. The defaults are those of `bm25s`; k1 and b are also rank_bm25's.

    Attributes:
      method: as named by Kamphuis et al. 2020 and in `bm25s`: 'lucene' (accurate, its idf is never negative),
        'robertson' (rank_bm25's BM25Okapi with epsilon=0, divided by k1 + 1) or 'atire'.
      k1: saturation of a word's frequency.
      b: normalisation by length.
    """

    method: str = "lucene"
    k1: float = 1.5
    b: float = 0.75

    def __post_init__(self):
        if self.method not in METHODS:
            raise InputError(f"method={self.method!r} of BM25 is unknown; choose one of {', '.join(METHODS)}")


USUAL = Formula()


def bm25_neighbours(
    queries: Pool,
    pool: Pool,
    k: int,
    *,
    formula: Formula = USUAL,
    terms: str = "auto",
    selection: str = "nearest",
    exclude_duplicates: bool = True,
) -> Neighbours:
    """The k entries with the highest (or, `selection="farthest"`, lowest) BM25 score for the query's input.

    The score of an entry is a sum over the terms (`terms_of`) of the query, a repeated one as often as it occurs there.
    Document frequencies and the average length are those of the whole pool, its repeated inputs and the
    query itself included. Entries without a common word score 0; with `farthest` these are most of a pool,
    so the first of them, in the order of the pool, are shown to many queries.

    Args:
      terms: what texts are cut into, see `terms_of`.

    Raises:
      InputError: an unknown kind of terms, or the pool has fewer than k entries that some query may be shown.
    """
    if terms not in TERMS:
        raise InputError(f"terms={terms!r} of BM25 is unknown; choose one of {', '.join(TERMS)}")
    cut = functools.partial(terms_of, kind=terms)
    search = functools.partial(_search, dataclasses.asdict(formula), cut, selection == "farthest")
    return choose(queries, pool, k, search, selection=selection, exclude_duplicates=exclude_duplicates)


def key(terms: str = "auto") -> str:
    """What a search with the default formula is kept under."""
    return (
        f"bm25:{USUAL.method}:k1={USUAL.k1}:b={USUAL.b}:terms={terms}:2"  # the number counts the changes of `terms_of`
    )


def terms_of(text: str, kind: str = "auto") -> list[str]:
    """The terms of a text, lower-cased; no stop words, no stemming.

    Args:
      kind: `words`: runs of letters (with their marks), digits and underscores; `characters`: pairs of characters that
        stand side by side in such a run; `auto`: pairs in scripts without blanks between words (Chinese, Japanese,
        Thai, Lao, Khmer, Burmese, Tibetan), words elsewhere.

    >>> terms_of("Loch Fyne : priceRange : £20-25 | x_1")
    ['loch', 'fyne', 'pricerange', '20', '25', 'x_1']
    >>> terms_of("BLT是三明治")
    ['blt', '是三', '三明', '明治']
    """
    text = text.lower()
    if text.isascii():
        found = _WORD.findall(text)
        return found if kind != "characters" else [pair for word in found for pair in _pairs(word)]
    if kind == "characters":
        return [pair for word in _MARKED_WORD.findall(text) for pair in _pairs(word)]
    if kind == "words":
        return _MARKED_WORD.findall(text)
    terms: list[str] = []
    for index, part in enumerate(_UNSPACED.split(text)):  # what was split at stands at the odd places
        terms += _pairs(part) if index % 2 else _MARKED_WORD.findall(part)
    return terms


def _pairs(run: str) -> list[str]:
    """Neighbouring characters, each with its marks; a single one stands alone."""
    characters = _CHARACTER.findall(run)
    return ["".join(pair) for pair in itertools.pairwise(characters)] or characters


def _search(
    formula: dict[str, str | float],
    cut: Callable[[str], list[str]],
    farthest: bool,
    asked: list[str],
    distinct: Distinct,
    wanted: int,
) -> tuple[np.ndarray, np.ndarray]:
    vocabulary, scores = _index(distinct, formula, cut)
    counts = _counts([cut(text) for text in asked], vocabulary)
    strangers = int((counts.getnnz(axis=1) == 0).sum())
    if 2 * strangers > len(asked):
        _log.warning(
            "BM25: %d of %d inputs share no term with any training example, and are shown the first ones; "
            "config.layout.terms or another config.layout.retriever may find better ones",
            *(strangers, len(asked)),
        )
    size = len(distinct.texts)
    rows = min(max(1, _SCORES_PER_BLOCK // scores.shape[1]), len(asked))
    similarities = np.empty((len(asked), wanted), np.float32)
    places = np.empty((len(asked), wanted), np.int64)

    def fill(start: int) -> int:
        block = slice(start, start + rows)
        dense = (counts[block] @ scores).toarray()
        count = len(dense)
        if count < rows:  # the last block gets the shape of the others, so that one program serves all
            dense = np.concatenate([dense, np.zeros((rows - count, scores.shape[1]), np.float32)])
        values, found = _largest(dense, size, k=wanted, farthest=farthest)
        similarities[block], places[block] = values[:count], found[:count]
        return count

    threads, quiet = len(os.sched_getaffinity(0)), not processes.is_first()
    with (
        ThreadPoolExecutor(threads) as executor,
        Progress(total=len(asked), desc=f"BM25 over {size:,} inputs", unit="input", disable=quiet) as progress,
    ):
        for count in executor.map(fill, range(0, len(asked), rows)):
            progress.update(count)
    return similarities, places


def _index(
    distinct: Distinct, formula: dict[str, str | float], cut: Callable[[str], list[str]]
) -> tuple[dict[str, int], scipy.sparse.csr_matrix]:
    """Each word's row, and f32[words, distinct inputs rounded up]: the score of a word in an input."""
    import bm25s  # Slow to import, and of use here alone.

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # its import sets DEBUG
    # Words are numbered as they first occur, so that sums have one order and results repeat to the last bit.
    vocabulary: dict[str, int] = {}
    documents = [[vocabulary.setdefault(word, len(vocabulary)) for word in cut(text)] for text in distinct.texts]
    columns = round_up(len(documents))
    if not vocabulary:
        return vocabulary, scipy.sparse.csr_matrix((1, columns), dtype=np.float32)
    # bm25s's arrays are the matrix [entries, words] by columns, which is [words, entries] by rows.
    index = bm25s.BM25(backend="numpy", **formula)
    index.index(([documents[i] for i in distinct.group], vocabulary), create_empty_token=False, show_progress=False)
    stored = (index.scores["data"], index.scores["indices"], index.scores["indptr"])
    entries = scipy.sparse.csc_matrix(stored, shape=(len(distinct.group), len(vocabulary)))
    first_of_each = entries.tocsr()[distinct.places(1)[:, 0]]
    first_of_each.resize(columns, len(vocabulary))
    return vocabulary, first_of_each.T.tocsr()


def _counts(texts: Sequence[list[str]], vocabulary: dict[str, int]) -> scipy.sparse.csr_matrix:
    """f32[texts, words]: how often each word of the vocabulary occurs."""
    rows = [[vocabulary[word] for word in text if word in vocabulary] for text in texts]
    ends = np.cumsum([0, *map(len, rows)])
    places = np.fromiter((place for row in rows for place in row), np.int32, ends[-1])
    shape = (len(rows), max(1, len(vocabulary)))
    counts = scipy.sparse.csr_matrix((np.ones(len(places), np.float32), places, ends), shape=shape)
    counts.sum_duplicates()
    return counts


@functools.partial(jax.jit, static_argnames=("k", "farthest"))
def _largest(scores: jax.Array, size: int, *, k: int, farthest: bool) -> tuple[jax.Array, jax.Array]:
    """The k largest (or smallest) of the first `size` columns."""
    real = jnp.arange(scores.shape[1])[None, :] < size
    values, places = top_k(jnp.where(real, -scores if farthest else scores, -jnp.inf), k)
    return -values if farthest else values, places
