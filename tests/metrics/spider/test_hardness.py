"""Spider's hardness of a query, as the official count has it."""

import pytest

from ipt_jax.metrics.spider.hardness import query_hardness
from ipt_jax.metrics.spider.match import comparable
from ipt_jax.metrics.spider.query import Schema

SCHEMA = Schema.from_tables(
    {
        "table_names_original": ["Singer", "Concert"],
        "column_names_original": [
            [-1, "*"], [0, "Singer_ID"], [0, "Name"], [0, "Age"], [1, "Concert_ID"], [1, "Singer_ID"], [1, "Year"],
        ],
        "foreign_keys": [[5, 1]],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "hardness"),
    [
        ("SELECT name FROM singer WHERE age > 1", "easy"),
        ("SELECT name, age FROM singer WHERE age > 1", "medium"),
        ("SELECT name FROM singer ORDER BY age LIMIT 1", "medium"),
        ("SELECT name, age FROM singer WHERE age > 1 AND age < 3 ORDER BY age", "extra"),
        ("SELECT max(age), min(age) FROM singer WHERE age > 1 AND age < 3 ORDER BY age", "hard"),
        ("SELECT name FROM singer WHERE age > 1 ORDER BY age LIMIT 1", "hard"),
        ("SELECT name FROM singer WHERE age IN (SELECT year FROM concert)", "hard"),
        ("SELECT name FROM singer WHERE name LIKE 'a' OR age > 1 ORDER BY age LIMIT 1", "extra"),
        ("SELECT year, count(*) FROM concert GROUP BY year HAVING year > 1 ORDER BY year", "medium"),
        ("SELECT year, count(*) FROM concert GROUP BY year HAVING year > 1 AND year < 5 ORDER BY year", "extra"),
    ],
)
def test_hardness_counts_clauses_nested_queries_and_repeated_parts(query, hardness):
    assert query_hardness(comparable(query, SCHEMA)) == hardness
