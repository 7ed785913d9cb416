"""A language model for the small experiment that makes it compile as few programs as can be."""

import tokenizers
from small_config import EXAMPLES
from tiny import END, tokenizer_backend, write_hf_folder
from tokenizers import pre_tokenizers, trainers

from ipt_jax.tasks import get_task
from ipt_jax.tasks.base import load_split

VOCABULARY = 2500


def write_lm(path, cache, seed=0):
    """A GPT-2 of one layer whose tokenizer has the experiment's texts for tokens; returns its folder.

    So rows of all runs fall into the first bucket, methods share their programs, and a test of a whole experiment takes
    a third of the time that byte by byte it would.
    """
    examples = [
        example
        for split, limit in EXAMPLES.items()
        for example in load_split(get_task("sample"), split, limit=limit, cache_dir=cache)
    ]
    texts = [text for e in examples for text in ("Input: ", e["input"], "\nOutput:", f" {e['target']}")]
    backend, alphabet = tokenizers.Tokenizer(tokenizers.models.BPE()), pre_tokenizers.ByteLevel.alphabet()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = tokenizer_backend().decoder
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=sorted(alphabet), show_progress=False
        ),
    )
    return write_hf_folder(path, "gpt2", seed, VOCABULARY, backend, n_positions=1024, n_layer=1)
