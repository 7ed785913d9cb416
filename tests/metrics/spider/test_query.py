"""Schemas and queries as the official evaluator sees them."""

from ipt_jax.metrics.spider.query import Schema


def test_a_foreign_key_joins_the_first_set_that_has_one_of_its_columns():
    entry = {
        "table_names_original": ["t"],
        "column_names_original": [[-1, "*"], [0, "a"], [0, "b"], [0, "c"], [0, "d"]],
        "foreign_keys": [[1, 2], [3, 4], [2, 3]],
    }
    assert Schema.from_tables(entry).keys == {"t.a": "t.a", "t.b": "t.a", "t.c": "t.c", "t.d": "t.c"}
