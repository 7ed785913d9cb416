"""What every way of decoding shares: where a row stops, what is refused, and how often programs are compiled."""

import jax.numpy as jnp
import numpy as np
import one_batch
import pytest
from decoding_oracle import LMS, PROMPTS, SEARCH, WITHOUT_STOP, M, decode, oracle

from ipt_jax.decoding import slots, stopping, strategy
from ipt_jax.errors import InputError


def test_a_row_stops_at_the_end_token_at_a_stop_text_or_at_the_length_and_says_which():
    lm = LMS["llama"]
    free = decode(lm, PROMPTS, [(0, [t]) for t in range(1, 60)], WITHOUT_STOP)
    longest = next(got for got in free if len(got.tokens) == M and len(set(got.tokens[:3])) == 3)
    start, whole = [1 + free.index(longest)], list(longest.tokens)
    assert longest.stop == "length"

    stops = np.zeros(lm.decoder.config.vocab_size, np.int32)
    for kind, name in ((stopping.EOS, "eos"), (stopping.STOP_TEXT, "stop_text")):
        table = stops.copy()
        table[whole[2]] = kind
        arrays = (jnp.zeros(1, jnp.int32), jnp.asarray([start]), jnp.ones(1, jnp.int32), jnp.asarray(table), None)
        out = one_batch.decode(lm.decoder, lm.params, jnp.asarray(PROMPTS), *arrays, SEARCH, end_tokens=1)
        got = strategy.finish(out, lm.tokenizer, WITHOUT_STOP)[0]
        assert list(got.tokens) == whole[:3] and got.stop == name
        assert np.asarray(out.tokens)[0, 3:].tolist() == [0] * (M - 3)


def test_a_row_past_the_models_positions_is_refused_before_anything_is_compiled():
    lm = LMS["gpt2"]
    before = slots.compilations()
    with pytest.raises(
        InputError, match=r"row 1: 3 prompt rows \+ 504 tokens \+ max_new_tokens=6 pass the model's 512"
    ):
        decode(lm, PROMPTS, [(0, [1]), (0, [1] * 504)])
    assert slots.compilations() == before
    decode(lm, PROMPTS, [(0, [1] * 503)])


def test_an_empty_input_is_fine_behind_a_prompt_and_refused_without_one():
    lm = LMS["llama"]
    assert decode(lm, PROMPTS, [(1, [])])[0].tokens == tuple(oracle(lm, PROMPTS[1], [], M)[0])
    with pytest.raises(InputError, match="empty input"):
        decode(lm, PROMPTS[:, :0], [(0, [])])


def test_batches_of_one_bucket_compile_once():
    lm = LMS["llama"]
    work = [(0, [3] * n) for n in range(1, 17)]
    decode(lm, PROMPTS, work[:4])
    before = slots.compilations()
    decode(lm, PROMPTS, work[4:16])
    assert slots.compilations() == before
