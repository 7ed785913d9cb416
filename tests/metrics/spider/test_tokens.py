"""The words of a query, as the official evaluator cuts them."""

from ipt_jax.metrics.spider.tokens import tokenise


def test_tokens_keep_the_case_of_quoted_text_only():
    assert tokenise("SELECT Name FROM T WHERE x.Y != 'New  York' AND a >= 1") == [
        "select", "name", "from", "t", "where", "x.y", "!=", '"New  York"', "and", "a", ">=", "1",
    ]  # fmt: skip
