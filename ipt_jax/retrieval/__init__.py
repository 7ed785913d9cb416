"""Which training examples are shown before an input: random draws, or exact neighbours by BM25 or by vectors.

`config.layout.retriever`: random | bm25 | dense (the frozen model's states) | sentence_transformer | the path of
neighbours in JSON Lines | one's own as `module:object`.
`config.layout.selection`: nearest | farthest, the most or the least similar ones.
"""

from ipt_jax.retrieval.bm25 import bm25_neighbours
from ipt_jax.retrieval.cache import kept_neighbours
from ipt_jax.retrieval.dense import dense_neighbours
from ipt_jax.retrieval.embedders import MeanHiddenStates, SentenceEncoder, mean_hidden
from ipt_jax.retrieval.pool import SELECTIONS, Neighbours, Pool
from ipt_jax.retrieval.random_draw import random_neighbours
from ipt_jax.retrieval.retrievers import RETRIEVERS, Retrieval, Retriever, retriever_code, retriever_named

__all__ = [
    "RETRIEVERS",
    "SELECTIONS",
    "MeanHiddenStates",
    "Neighbours",
    "Pool",
    "Retrieval",
    "Retriever",
    "SentenceEncoder",
    "bm25_neighbours",
    "dense_neighbours",
    "kept_neighbours",
    "mean_hidden",
    "random_neighbours",
    "retriever_code",
    "retriever_named",
]
