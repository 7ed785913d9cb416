"""What the official parser makes of a text, and what it cannot read."""

import time

import pytest

from ipt_jax.metrics.spider.match import spider_match
from ipt_jax.metrics.spider.query import Schema
from ipt_jax.metrics.spider.sql import MAX_CHARACTERS, MAX_QUERIES_DEEP, parse

SCHEMA = Schema.from_tables(
    {
        "table_names_original": ["Singer", "Concert"],
        "column_names_original": [
            [-1, "*"], [0, "Singer_ID"], [0, "Name"], [0, "Age"], [1, "Concert_ID"], [1, "Singer_ID"], [1, "Year"],
        ],
        "foreign_keys": [[5, 1]],
    }
)  # fmt: skip


def failed(gold, prediction):
    match = spider_match(gold, prediction, SCHEMA)
    assert match.parsed
    assert match.exact == (not match.failed)
    return match.failed


@pytest.mark.parametrize(
    "prediction",
    [
        "",
        "name",
        "SELECT name",
        "SELECT nothing FROM singer",
        "SELECT name FROM nothing",
        "SELECT name AS n FROM singer",
        "SELECT s.name FROM singer s",
        "SELECT name FROM singer AS concert",
        "SELECT name FROM singer AS",
        "SELECT name FROM singer, concert",
        "SELECT name FROM singer INNER JOIN concert",
        "SELECT name FROM singer WHERE age <> 1",
        "SELECT name FROM singer WHERE age >=1",
        "SELECT name FROM singer WHERE age=1",
        "SELECT name FROM singer WHERE (age > 1 AND age < 3)",
        "SELECT name FROM singer WHERE age IN (1, 2)",
        "SELECT name FROM singer WHERE age BETWEEN 1, 2",
        "SELECT name FROM singer WHERE age 1",
        "SELECT name FROM singer WHERE name = 'it's'",
        "SELECT name FROM singer ORDER age",
        "SELECT name FROM singer LIMIT many",
        "SELECT name FROM singer UNION ALL SELECT name FROM singer",
        "SELECT count(1) FROM singer",
        "SELECT count(name FROM singer",
        "SELECT `name` FROM singer",
        "SELECT name FROM (SELECT name FROM singer)",
        "SELECT a.b.c FROM singer",
        "SELECT name FROM singer WHERE age > 1 age > 2 AND age > 3",
    ],
)
def test_what_the_official_parser_cannot_read_scores_zero(prediction):
    match = spider_match("SELECT name FROM singer", prediction, SCHEMA)

    assert (match.exact, match.parsed) == (False, False)
    assert match.failed[:2] == ("select", "select(no AGG)")
    assert match.hardness == "easy"


def test_a_second_condition_without_a_word_before_it_counts_as_that_word():
    missing = "SELECT name FROM singer WHERE age > 1 name = 'a'"

    assert failed("SELECT name FROM singer WHERE age > 1", missing) == ("and/or",)
    assert failed(missing, missing.replace("'a'", "'b'")) == ("and/or",)


def test_an_alias_that_is_defined_twice_means_its_last_table_everywhere():
    query = parse("SELECT t.singer_id FROM singer AS t UNION SELECT t.year FROM concert AS t", SCHEMA)

    assert query.tables == ("singer",)
    assert query.select[0][1].left.name == "concert.singer_id"


def test_a_bare_column_belongs_to_the_first_table_that_has_it():
    names = [parse(f"SELECT singer_id FROM {tables}", SCHEMA).select[0][1].left.name for tables in
             ("singer JOIN concert", "concert JOIN singer")]  # fmt: skip
    assert names == ["singer.singer_id", "concert.singer_id"]


@pytest.mark.parametrize(
    "prediction",
    [
        "x" * 3_000_000,
        "SELECT name FROM singer WHERE name = '" + "x" * 3_000_000 + "'",
        "(" * MAX_CHARACTERS,
        "SELECT " + "name , " * 2_000,
        " WHERE age IN (SELECT age FROM singer".join(["SELECT name FROM singer"] + [""] * 500),
        "SELECT * FROM (" * 1_000,
        " UNION ".join(["SELECT name FROM singer"] * 800),
        "SELECT name FROM singer LIMIT " + "9" * 10_000,
        "SELECT \ud800 FROM singer\x00",
        "\u202e\u0000\U0001f600" * 5_000,
        "' \" " * 4_001,
        "." * MAX_CHARACTERS,
        "\u3000" * MAX_CHARACTERS,
    ],
    ids=range(13),
)
def test_hostile_predictions_end_quickly_as_not_parsed(prediction):
    start = time.monotonic()

    assert not spider_match("SELECT name FROM singer", prediction, SCHEMA).parsed
    assert time.monotonic() - start < 2


def test_the_deepest_query_that_is_read_compares_without_overflow():
    opening = "SELECT name FROM singer WHERE age IN ("

    def nested(depth):
        return opening * (depth - 1) + "SELECT age FROM singer" + ")" * (depth - 1)

    assert spider_match(nested(MAX_QUERIES_DEEP), nested(MAX_QUERIES_DEEP), SCHEMA).exact
    assert not spider_match(nested(2), nested(MAX_QUERIES_DEEP + 1), SCHEMA).parsed
