"""Spider's exact set match: components, hardness, what parses, untrusted text, and the official verdicts."""

import time

import pytest
from official import goldens, read_json

from ipt_jax.metrics.spider.hardness import query_hardness
from ipt_jax.metrics.spider.match import COMPONENTS, comparable, spider_match
from ipt_jax.metrics.spider.query import NotParsed, Schema

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


def test_a_text_that_does_not_parse_matches_nothing_even_if_the_gold_has_no_parts():
    assert spider_match("SELECT FROM", "not SQL", SCHEMA) == (False, "easy", False, ())


def test_a_gold_that_does_not_parse_is_an_error():
    with pytest.raises(NotParsed, match="'nothing' is not a table"):
        spider_match("SELECT name FROM nothing", "SELECT name FROM singer", SCHEMA)


def test_foreign_key_columns_are_one_only_if_their_table_is_in_the_outermost_from():
    gold = "SELECT singer_id FROM singer UNION SELECT singer_id FROM concert"

    assert failed(gold, "SELECT singer_id FROM singer UNION SELECT concert_id FROM concert") == ("IUEN",)
    assert SCHEMA.keys == {"singer.singer_id": "singer.singer_id", "concert.singer_id": "singer.singer_id"}
    assert comparable("SELECT singer_id FROM concert", SCHEMA).select[0][1].left.name == "singer.singer_id"
    assert comparable(gold, SCHEMA).combined[1].select[0][1].left.name == "concert.singer_id"


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
