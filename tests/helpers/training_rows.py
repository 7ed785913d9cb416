"""Rows that a tiny model learns from."""

from ipt_jax.rows.layout import Ends, Item, Layout, encode


def make_rows(lm, count=20):
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    return [
        encode(
            Layout(),
            lm.tokenizer,
            Item("a row", f"{words[i % 5]} : is : {i}", f"{words[i % 5]} is {i}."),
            budget=200,
            ends=Ends(eos_id=lm.tokenizer.eos_ids[0]),
        )
        for i in range(count)
    ]
