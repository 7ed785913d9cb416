"""Spider's exact set match: components, hardness, what parses, untrusted text, and the official verdicts."""

import time

import pytest
from official import goldens, read_json

from ipt_jax.metrics.spider.hardness import query_hardness
from ipt_jax.metrics.spider.match import COMPONENTS, comparable, spider_match
from ipt_jax.metrics.spider.query import NotParsed, Schema
from ipt_jax.metrics.spider.sql import MAX_CHARACTERS, MAX_QUERIES_DEEP, parse
from ipt_jax.metrics.spider.tokens import tokenise

SCHEMA = Schema.from_tables(
    {
        "table_names_original": ["Singer", "Concert"],
        "column_names_original": [
            [-1, "*"], [0, "Singer_ID"], [0, "Name"], [0, "Age"], [1, "Concert_ID"], [1, "Singer_ID"], [1, "Year"],
        ],
        "foreign_keys": [[5, 1]],
    }
)  # fmt: skip
JOINED = "FROM singer AS t1 JOIN concert AS t2 ON t1.singer_id = t2.singer_id"


def failed(gold, prediction):
    match = spider_match(gold, prediction, SCHEMA)
    assert match.parsed
    assert match.exact == (not match.failed)
    return match.failed


@pytest.mark.parametrize(
    ("gold", "prediction"),
    [
        ("SELECT name, age FROM singer", "select AGE , Name from SINGER ;"),
        (
            "SELECT name FROM singer WHERE age > 20 AND name = 'a'",
            'SELECT name FROM singer WHERE name = "b" AND age >7',
        ),
        ("SELECT DISTINCT name FROM singer", "SELECT name FROM singer"),
        ("SELECT name FROM singer ORDER BY age LIMIT 3", "SELECT name FROM singer ORDER BY age ASC LIMIT 1"),
        (f"SELECT t2.year {JOINED}", "SELECT year FROM concert JOIN singer"),
        (f"SELECT t1.singer_id {JOINED}", f"SELECT t2.singer_id {JOINED}"),
        ("SELECT name FROM singer", "( SELECT name FROM singer )"),
        ("SELECT count(DISTINCT name) FROM singer", "SELECT count(name) FROM singer"),
        ("SELECT name FROM singer", "SELECT name FROM singer ; and then anything"),
        ("SELECT name FROM singer WHERE age = 1", "SELECT name FROM singer WHERE age = name or age = 3"),
    ],
)
def test_what_does_not_count_makes_no_difference(gold, prediction):
    assert failed(gold, prediction) == ()


@pytest.mark.parametrize(
    ("gold", "prediction", "components"),
    [
        ("SELECT name FROM singer", "SELECT max(name) FROM singer", ["select"]),
        ("SELECT name FROM singer", "SELECT age FROM singer", ["select", "select(no AGG)"]),
        ("SELECT age FROM singer WHERE age > 1", "SELECT age FROM singer WHERE age < 1", ["where"]),
        (
            "SELECT age FROM singer WHERE age > 1",
            "SELECT age FROM singer WHERE name > 1",
            ["where", "where(no OP)"],
        ),
        (
            "SELECT age FROM singer WHERE age > 1 AND name = 'a'",
            "SELECT age FROM singer WHERE age > 1 OR name = 'a'",
            ["and/or", "keywords"],
        ),
        (
            "SELECT year FROM concert GROUP BY year, concert_id",
            "SELECT year FROM concert GROUP BY concert_id, year",
            ["group"],
        ),
        (
            "SELECT year FROM concert GROUP BY year HAVING count(*) > 1",
            "SELECT year FROM concert GROUP BY year HAVING count(*) < 1",
            ["group"],
        ),
        (
            "SELECT year FROM concert GROUP BY year",
            "SELECT year FROM concert GROUP BY concert_id",
            ["group(no Having)", "group"],
        ),
        ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY name", ["order"]),
        ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY age DESC", ["order", "keywords"]),
        ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY age LIMIT 1", ["order", "keywords"]),
        (
            "SELECT age FROM singer UNION SELECT year FROM concert",
            "SELECT age FROM singer UNION SELECT singer_id FROM concert",
            ["IUEN"],
        ),
        (
            "SELECT age FROM singer UNION SELECT year FROM concert",
            "SELECT age FROM singer EXCEPT SELECT year FROM concert",
            ["IUEN", "keywords"],
        ),
        (f"SELECT name {JOINED}", "SELECT name FROM singer", ["tables"]),
        (
            "SELECT name FROM singer WHERE age IN (SELECT DISTINCT year FROM concert)",
            "SELECT name FROM singer WHERE age IN (SELECT year FROM concert)",
            ["where"],
        ),
        (
            "SELECT count(*) FROM (SELECT name FROM singer WHERE age = 1)",
            "SELECT count(*) FROM (SELECT name FROM singer WHERE age = 2)",
            ["tables"],
        ),
    ],
)
def test_each_component_fails_by_its_official_name(gold, prediction, components):
    assert failed(gold, prediction) == tuple(components)
    assert failed(gold, gold) == failed(prediction, prediction) == ()


def test_two_subqueries_in_from_are_compared_as_a_set_where_the_official_script_stops():
    first, second = "(SELECT name FROM singer)", "(SELECT year FROM concert)"
    assert failed(f"SELECT * FROM {first} {second}", f"SELECT * FROM {second} {first}") == ()


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


def test_a_text_that_does_not_parse_matches_nothing_even_if_the_gold_has_no_parts():
    assert spider_match("SELECT FROM", "not SQL", SCHEMA) == (False, "easy", False, ())


def test_a_gold_that_does_not_parse_is_an_error():
    with pytest.raises(NotParsed, match="'nothing' is not a table"):
        spider_match("SELECT name FROM nothing", "SELECT name FROM singer", SCHEMA)


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


def test_foreign_key_columns_are_one_only_if_their_table_is_in_the_outermost_from():
    gold = "SELECT singer_id FROM singer UNION SELECT singer_id FROM concert"

    assert failed(gold, "SELECT singer_id FROM singer UNION SELECT concert_id FROM concert") == ("IUEN",)
    assert SCHEMA.keys == {"singer.singer_id": "singer.singer_id", "concert.singer_id": "singer.singer_id"}
    assert comparable("SELECT singer_id FROM concert", SCHEMA).select[0][1].left.name == "singer.singer_id"
    assert comparable(gold, SCHEMA).combined[1].select[0][1].left.name == "concert.singer_id"


def test_a_foreign_key_joins_the_first_set_that_has_one_of_its_columns():
    entry = {
        "table_names_original": ["t"],
        "column_names_original": [[-1, "*"], [0, "a"], [0, "b"], [0, "c"], [0, "d"]],
        "foreign_keys": [[1, 2], [3, 4], [2, 3]],
    }
    assert Schema.from_tables(entry).keys == {"t.a": "t.a", "t.b": "t.a", "t.c": "t.c", "t.d": "t.c"}


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


def test_tokens_keep_the_case_of_quoted_text_only():
    assert tokenise("SELECT Name FROM T WHERE x.Y != 'New  York' AND a >= 1") == [
        "select", "name", "from", "t", "where", "x.y", "!=", '"New  York"', "and", "a", ">=", "1",
    ]  # fmt: skip


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


def schemas_of(golden):
    return {entry["db_id"]: Schema.from_tables(entry) for entry in read_json(golden.release / "tables.json.gz")}


@pytest.mark.parametrize("golden", goldens("spider", slow=True))
def test_all_golden_verdicts_are_equal(golden):
    rows, schemas = golden.rows("verdicts.jsonl.gz"), schemas_of(golden)
    assert len(rows) == (9_680 if golden.whole else 714)
    for row in rows:
        schema = schemas[row["db_id"]]
        match = spider_match(row["gold"], row["prediction"], schema)
        expected = (bool(row["exact"]), row["hardness"], bool(row["parsed"]), tuple(row["failed"]))
        assert match == expected, row
        assert set(match.failed) <= {*COMPONENTS, "tables"}
        if row["parsed"]:
            assert query_hardness(comparable(row["prediction"], schema)) == row["prediction_hardness"], row


@pytest.mark.parametrize("golden", goldens("spider"))
def test_every_gold_of_dev_matches_itself_and_that_takes_seconds(golden):
    records, schemas = read_json(golden.release / "dev.json.gz"), schemas_of(golden)
    start = time.monotonic()
    exact = sum(spider_match(row["query"], row["query"], schemas[row["db_id"]]).exact for row in records)

    assert exact == len(records) == (1_034 if golden.whole else 72)
    assert time.monotonic() - start < 20
