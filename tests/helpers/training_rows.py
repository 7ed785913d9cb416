"""Rows that a tiny model learns from."""

from ipt_jax.rows.layout import Template, encode


def make_rows(lm, count=20):
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    return [
        encode(
            Template(),
            lm.tokenizer,
            f"{words[i % 5]} : is : {i}",
            budget=200,
            target=f"{words[i % 5]} is {i}.",
            eos_id=lm.tokenizer.eos_ids[0],
        )
        for i in range(count)
    ]
