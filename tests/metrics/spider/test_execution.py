"""Spider's execution accuracy: what counts as the same table, and that hostile predictions harm and hang nothing."""

import hashlib
import sqlite3
import time

import pytest

from ipt_jax.metrics.spider import execution
from ipt_jax.metrics.spider.execution import MAX_CHARACTERS, execution_match, execution_matches, prepare, same_table


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "a database?.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE singer (id INTEGER, name TEXT, age REAL, photo BLOB)")
    rows = [(1, "Ann", 30, b"\x00\xff"), (2, "Bo", 25.5, None), (3, "Ann", 41, None)]
    connection.executemany("INSERT INTO singer VALUES (?, ?, ?, ?)", rows)
    connection.execute("CREATE TABLE digit AS WITH RECURSIVE c(d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM c"
                       " WHERE d < 999) SELECT d FROM c")  # fmt: skip
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize(
    ("gold", "prediction", "match"),
    [
        ("SELECT name FROM singer", "select NAME from singer order by id desc", True),
        ("SELECT name FROM singer", "SELECT name FROM singer WHERE id < 3", False),
        ("SELECT name FROM singer", "SELECT name, id FROM singer", False),
        ("SELECT name FROM singer ORDER BY id", "SELECT name FROM singer ORDER BY id DESC", True),
        ("SELECT id FROM singer ORDER BY id", "SELECT id FROM singer ORDER BY id DESC", False),
        ("SELECT id, name FROM singer", "SELECT name, id FROM singer", True),
        ("SELECT id, name FROM singer ORDER BY id", "SELECT name, id FROM singer ORDER BY id", True),
        ("SELECT DISTINCT name FROM singer", "SELECT name FROM singer", True),
        ("SELECT 41", "SELECT age FROM singer WHERE id = 3", True),
        ("SELECT '41'", "SELECT 41", False),
        ("SELECT photo FROM singer", "SELECT photo FROM singer WHERE name != 'x'", True),
        ("SELECT photo FROM singer WHERE id = 1", "SELECT '\x00\xff'", False),
        ("SELECT name FROM singer WHERE id = 9", "SELECT id, age FROM singer WHERE id > 9", True),
        ("SELECT name FROM singer WHERE id > = 2", "SELECT name FROM singer WHERE id >= 2", True),
        ("SELECT 2020 - 1", "SELECT YEAR( CURDATE() ) - 1", True),
        ("SELECT 1e999", "SELECT 9e999", True),
        ("SELECT count(*) FROM singer", "SELECT count(*) FROM singer; SELECT 1", True),
    ],
)
def test_two_queries_match_if_their_tables_are_the_same(database, gold, prediction, match):
    result = execution_match(gold, prediction, database)

    assert result.match is match
    assert result.gold_error is None


def test_text_that_is_not_utf8_is_compared_without_the_bad_bytes(database):
    result = execution_match("SELECT 'ab'", "SELECT CAST(x'61ff62' AS TEXT)", database)

    assert result == (True, None, None)


def test_distinct_and_a_second_statement_are_removed_outside_quotes_and_comments_only():
    assert prepare("SELECT DISTINCT 'DISTINCT;' , \"distinct\" , [distinct] , `;`") == (
        "SELECT  'DISTINCT;' , \"distinct\" , [distinct] , `;`"
    )
    assert prepare("SELECT 1 -- distinct;\n, distinctly /* ; distinct */ ; DROP TABLE t") == (
        "SELECT 1 -- distinct;\n, distinctly /* ; distinct */ "
    )
    assert prepare("SELECT 'open; distinct") == "SELECT 'open; distinct"


@pytest.mark.parametrize(
    ("gold", "found", "unordered", "ordered"),
    [
        ([], [], True, True),
        ([(1,)], [], False, False),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False),
        ([(1,), (2,)], [(2,), (1,)], True, False),
        ([(1, 2), (3, 4)], [(2, 1), (4, 3)], True, True),
        ([(1, 2), (2, 1)], [(1, 1), (2, 2)], False, False),
        ([(1, 1, 2)], [(1, 2, 2)], False, False),
        # Each column has the same values as one of the other table, but the rows differ in every arrangement.
        ([(0, 0), (0, 1), (1, 0), (1, 1)], [(0, 0), (0, 0), (1, 1), (1, 1)], False, False),
        ([(1, 2, 3), (4, 5, 6)], [(6, 4, 5), (3, 1, 2)], True, False),
    ],
)
def test_tables_are_the_same_up_to_the_order_of_columns_and_of_rows_unless_that_counts(gold, found, unordered, ordered):
    assert same_table(gold, found, ordered=False) is unordered
    assert same_table(found, gold, ordered=False) is unordered
    assert same_table(gold, found, ordered=True) is ordered


def test_many_equal_columns_are_arranged_without_trying_all_their_orders():
    gold = [(0,) * 14 + (0, 1), (0,) * 14 + (1, 0), (1,) * 16]
    found = [(0,) * 16, (0,) * 14 + (1, 1), (1,) * 16]

    start = time.monotonic()
    assert same_table(gold, gold, ordered=False)
    assert not same_table(gold, found, ordered=False)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    ("prediction", "error"),
    [
        ("DROP TABLE singer", "not authorized"),
        ("DELETE FROM singer", "not authorized"),
        ("INSERT INTO singer VALUES (4, 'Eve', 1, NULL)", "not authorized"),
        ("CREATE TEMP TABLE t (a)", "not authorized"),
        ("BEGIN EXCLUSIVE", "not authorized"),
        ("PRAGMA writable_schema = 1", "not authorized"),
        ("SELECT * FROM pragma_database_list", "not authorized"),
        ("ATTACH '{folder}/evil.sqlite' AS e", "not authorized"),
        ("VACUUM INTO '{folder}/evil.sqlite'", "authoriz"),
        ("SELECT load_extension('evil')", "not authorized to use function: load_extension"),
        ("SELECT fts3_tokenizer('simple', x'00')", "not authorized to use function: fts3_tokenizer"),
        ("SELECT readfile('/etc/passwd')", "no such function"),
        ("SELECT length(randomblob(2e9))", "too big"),
        ("", "no table"),
        ("-- nothing", "no table"),
        ("SELECT 1\x00", "null character"),
        ("SELECT '\ud800'", "UnicodeEncodeError"),
        ("SELECT 1, " + " " * MAX_CHARACTERS + "2", "more than 20,000 characters"),
        ("no SQL", "syntax error"),
    ],
    ids=range(19),
)
def test_a_prediction_that_is_no_query_of_the_database_fails_and_changes_nothing(database, prediction, error):
    before = hashlib.sha256(database.read_bytes()).digest()
    result = execution_match("SELECT name FROM singer", prediction.replace("{folder}", str(database.parent)), database)

    assert (result.match, result.gold_error) == (False, None)
    assert error in result.prediction_error
    assert hashlib.sha256(database.read_bytes()).digest() == before
    assert list(database.parent.iterdir()) == [database]


@pytest.mark.parametrize(
    "prediction",
    [
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
        "SELECT count(*) FROM digit a JOIN digit b JOIN digit c JOIN digit d",
    ],
)
def test_a_query_without_an_end_is_stopped_in_its_time(database, prediction):
    start = time.monotonic()
    result = execution_match("SELECT 1", prediction, database, timeout_seconds=0.5)

    assert result == (False, None, "it took longer than 0.5 s")
    assert time.monotonic() - start < 5


def test_a_deeply_nested_query_ends(database):
    assert not execution_match("SELECT 2", "SELECT " + "(" * 9_000 + "1" + ")" * 9_000, database).match


def test_a_query_that_returns_rows_without_end_is_read_only_as_far_as_the_gold_goes(database):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"

    assert execution_match("SELECT id FROM singer", endless, database) == (False, None, None)


def test_a_query_that_needs_more_memory_than_allowed_is_stopped(database):
    # 200 different texts of 2 MB, sorted before the first is returned.
    greedy = "SELECT hex(randomblob(1000000)) AS x FROM digit WHERE d < 200 ORDER BY x"
    result = execution_match("SELECT 1", greedy, database, timeout_seconds=60, memory_mb=128)

    assert not result.match
    assert result.prediction_error == "it needs more than 128 MB of memory"


def test_a_table_that_is_too_large_to_hand_over_is_an_error(database):
    large = "SELECT zeroblob(9000000) FROM digit WHERE d < 5"

    assert execution_match(large, large, database, memory_mb=1024).gold_error == "its result is too large"


def test_a_gold_that_fails_is_told_and_nothing_matches_it(database):
    result = execution_match("SELECT nowhere FROM singer", "SELECT name FROM singer", database)

    assert (result.match, result.prediction_error) == (False, None)
    assert "no such column: nowhere" in result.gold_error


def test_a_missing_database_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.sqlite"):
        execution_match("SELECT 1", "SELECT 1", tmp_path / "nothing.sqlite")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_fails_both_queries(tmp_path):
    path = tmp_path / "text.sqlite"
    path.write_text("no database " * 100)
    result = execution_match("SELECT name FROM t", "SELECT name FROM t", path)

    assert "not a database" in result.gold_error
    assert "not a database" in result.prediction_error


def test_many_pairs_are_judged_in_order_several_at_a_time(database):
    pairs = [(f"SELECT {n}", f"SELECT {n if n % 3 else -1}", database) for n in range(60)]
    results = execution_matches(pairs, workers=3)

    assert [result.match for result in results] == [bool(n % 3) for n in range(60)]
    assert execution_matches([]) == []


def circulant(size):
    """Rows of one 1 each, which no column tells apart."""
    return [tuple(int((i + j) % size == 0) for j in range(size)) for i in range(size)]


def test_many_columns_that_look_alike_are_told_apart_by_what_they_hold():
    gold = circulant(13)
    assert same_table(gold, [row[::-1] for row in gold], ordered=False)
    assert not same_table(gold, [gold[max(i, 1)] for i in range(13)], ordered=False)


def test_a_comparison_without_end_is_given_up_and_counts_as_wrong():
    # Two graphs in which every node has three neighbours, as tables of edges: K3,3 twice, and a ring with chords.
    def table(edges):
        return [tuple(int(node in edge) for node in range(12)) for edge in edges]

    twice = [(a + s, b + s) for s in (0, 6) for a in range(3) for b in range(3, 6)]
    ring = [(i, (i + 1) % 12) for i in range(12)] + [(i, i + 6) for i in range(6)]
    with pytest.raises(execution._TooLong):
        same_table(table(twice), table(ring), ordered=False, seconds=0.0)
    tables = {"gold": table(twice), "prediction": table(ring)}
    judged = execution._judge("gold", "prediction", None, lambda query, *_: tables[query], 0.0)
    assert judged == (False, None, "it was not compared within 0 s")
