"""Spider: linearisation, targets, ids, counts, scores and errors."""

import json

import pytest
from absl import logging
from official import committed, goldens
from spider_files import BAND, INPUT, QUESTIONS, SCHEMA, write, write_database

from ipt_jax.errors import InputError
from ipt_jax.tasks import spider
from ipt_jax.tasks.base import Example, data_hash
from ipt_jax.tasks.scores import example_headline, headline, score
from ipt_jax.tasks.spider import Spider, normalise, read_schemas


def test_an_example_is_question_schema_and_normalised_sql(tmp_path):
    first, second = Spider(write(tmp_path)).read("dev")

    assert first == Example(
        "dev:0", INPUT, "select name, id from singer", ("SELECT Name ,  ID FROM Singer",), {"db_id": "Band"}
    )
    assert second.target == "select name from singer where home = 'Oslo'"


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("SELECT  A\t,\nB FROM T ;", "select a, b from t ;"),
        ("SELECT A FROM T WHERE x = 'Big Apple'", "select a from t where x = 'Big Apple'"),
        ('SELECT A FROM T WHERE x = "The Big Apple Pie"', 'select a from t where x = "The big apple Pie"'),
        ("SELECT A,B FROM T", "select a,b from t"),
    ],
)
def test_a_target_is_lower_case_where_no_quote_is_near(query, target):
    assert normalise(query) == target


def test_train_others_follows_train_where_it_is_there(tmp_path):
    write(tmp_path, name="train_spider.json")
    assert [example.id for example in Spider(tmp_path).read("train")] == ["train:0", "train:1"]
    before = data_hash(Spider(tmp_path), "train")

    write(tmp_path, QUESTIONS[:1], name="train_others.json")
    assert [example.id for example in Spider(tmp_path).read("train")] == ["train:0", "train:1", "train_others:0"]
    assert data_hash(Spider(tmp_path), "train") != before


def test_scores_are_percents_over_all_and_by_hardness(tmp_path):
    task = Spider(write(tmp_path))
    examples = list(task.read("dev"))
    judged = score(task, ["select ID , Name from SINGER", "no SQL"], examples)
    scores = judged.to_dict()

    assert scores["exact_match"] == scores["parsed"] == 50
    assert scores["medium"] == {"examples": 1, "exact_match": 100, "parsed": 100}
    assert scores["easy"] == {"examples": 1, "exact_match": 0, "parsed": 0}
    assert scores.keys() == {"exact_match", "parsed", "easy", "medium", "signatures"}
    assert scores["signatures"].keys() == {"exact_match", "parsed"}
    assert headline(task).name == example_headline(task) == "exact_match"
    assert judged.examples == [{"exact_match": 100, "parsed": 100}, {"exact_match": 0, "parsed": 0}]


def test_execution_is_scored_where_the_databases_are_present(tmp_path):
    task = Spider(write(tmp_path))
    write_database(tmp_path, BAND)
    examples = list(task.read("dev"))
    scores = score(task, ["DROP TABLE Singer", "SELECT name FROM Singer WHERE ID < 2 OR ID = 2"], examples).to_dict()

    assert (scores["exact_match"], scores["execution_match"]) == (0, 50)
    assert (scores["easy"]["execution_match"], scores["medium"]["execution_match"]) == (100, 0)
    assert "test-suite" in scores["signatures"]["execution_match"]


def test_execution_is_left_out_with_a_warning_where_some_databases_are_missing(tmp_path, monkeypatch):
    other = {**SCHEMA, "db_id": "Other"}
    task = Spider(write(tmp_path, [*QUESTIONS, {**QUESTIONS[0], "db_id": "Other"}], [SCHEMA, other]))
    write_database(tmp_path, BAND)
    examples = list(task.read("dev"))
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))

    assert "execution_match" not in score(task, ["x", "x", "x"], examples).to_dict()
    assert warnings == [f"no execution_match: 1 databases are missing: {tmp_path / 'database/Other/Other.sqlite'}"]


def test_a_gold_that_cannot_be_parsed_or_run_matches_nothing_and_is_told(tmp_path, monkeypatch):
    task = Spider(write(tmp_path, [{**QUESTIONS[0], "query": "SELECT x FROM nowhere"}]))
    write_database(tmp_path, BAND)
    examples = list(task.read("dev"))
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))
    scores = score(task, ["SELECT x FROM nowhere"], examples).to_dict()

    assert scores.keys() == {"exact_match", "parsed", "execution_match", "signatures"}
    assert (scores["exact_match"], scores["parsed"], scores["execution_match"]) == (0, 0, 0)
    assert "'nowhere' is not a table" in warnings[0]
    assert "no such table: nowhere" in warnings[1]


def test_another_version_of_the_data_is_read_with_a_warning(tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))
    task = Spider(write(tmp_path))

    assert len(list(task.read("dev"))) == 2
    assert "not Spider's dev split: 2 examples instead of 1,034" in warnings[0]
    monkeypatch.setitem(spider.RELEASE_COUNTS, "dev", (1, 2))
    assert len(list(task.read("dev"))) == 2
    assert len(warnings) == 1


def test_missing_files_are_an_error_with_names_origin_setting_and_command(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError) as error:
        Spider(tmp_path).files("train")
    message = str(error.value)

    for part in (
        str(tmp_path), "train_spider.json", "yale-lily.github.io/spider", "config.task.data_dir",
        "python -m ipt_jax.tasks.download spider",
    ):  # fmt: skip
        assert part in message
    assert "tables.json" not in message and "train_others" not in message


@pytest.mark.parametrize("data_dir", [None, ""])
def test_an_unset_data_dir_is_an_error_that_says_so(data_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path))

    with pytest.raises(InputError, match=r"data_dir is unset: dev\.json, tables\.json"):
        Spider(data_dir).files("dev")
    with pytest.raises(InputError, match=r"data_dir is unset: tables\.json"):
        score(Spider(data_dir), ["x"], [Example("dev:0", "x", "y", ("y",), {"db_id": "Band"})])


def test_the_test_split_is_an_error_that_names_the_evaluated_one(tmp_path):
    with pytest.raises(InputError, match="use 'dev'"):
        Spider(tmp_path).files("test")
    with pytest.raises(InputError, match="split = 'validation' is not one of"):
        Spider(tmp_path).files("validation")


@pytest.mark.parametrize("key", ["question", "query", "db_id"])
def test_a_malformed_question_is_an_error_with_file_line_and_record(tmp_path, key):
    write(tmp_path)
    bad = {name: value for name, value in QUESTIONS[1].items() if name != key}
    (tmp_path / "dev.json").write_text(f"[\n{json.dumps(QUESTIONS[0])},\n{json.dumps(bad)}\n]")

    with pytest.raises(InputError, match=rf"dev\.json:3: record 1: '{key}' should be a text"):
        list(Spider(tmp_path).read("dev"))


def test_a_question_about_an_unknown_database_is_an_error_with_file_line_and_record(tmp_path):
    write(tmp_path, [{**QUESTIONS[0], "db_id": "Bond"}])

    with pytest.raises(InputError, match=r"dev\.json:1: record 0: database 'Bond' is not in .*tables\.json"):
        list(Spider(tmp_path).read("dev"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"db_id": None}, "'db_id'"),
        ({"db_id": "../outside"}, "'db_id' should be the name of a folder"),
        ({"db_id": ".."}, "'db_id' should be the name of a folder"),
        ({"table_names_original": "Singer"}, "'table_names_original'"),
        ({"column_names_original": [[0, None]]}, "'column_names_original'"),
        ({"column_names_original": [[3, "x"]]}, "'column_names_original'"),
        ({"column_names_original": [["0", "x"]]}, "'column_names_original'"),
        ({"column_names_original": [[-0.0, "x"]]}, "'column_names_original'"),
        ({"foreign_keys": [[True, 1]]}, "'foreign_keys'"),
        ({"foreign_keys": [[1, 8]]}, "'foreign_keys'"),
        ({"foreign_keys": [[1]]}, "'foreign_keys'"),
        ({"foreign_keys": None}, "'foreign_keys'"),
    ],
)
def test_a_malformed_schema_is_an_error_with_file_line_and_record(tmp_path, change, message):
    path = tmp_path / "tables.json"
    path.write_text(f"[{json.dumps(SCHEMA)},\n{json.dumps({**SCHEMA, **change})}]")

    with pytest.raises(InputError, match=rf"tables\.json:2: record 1: {message}"):
        read_schemas(path)


@pytest.fixture(scope="module", params=goldens("spider"))
def release(request):
    """The golden set, and the examples of its release by id."""
    task = Spider(request.param.release)
    return request.param, {split: {example.id: example for example in task.read(split)} for split in ("train", "dev")}


def test_the_release_has_its_counts(release):
    golden, examples = release
    counts = {split: len(own) for split, own in examples.items()}
    assert counts == ({"train": 7_000, "dev": 1_034} if golden.whole else {"train": 64, "dev": 72})


def test_all_golden_inputs_of_the_release_are_equal(release):
    golden, examples = release
    rows = golden.rows("inputs.jsonl.gz")
    assert len(rows) == (440 if golden.whole else 80)
    for row in rows:
        example = examples[row["id"].split(":")[0]][row["id"]]
        assert example.input == f"{row['text_in']} {row['struct_in']}", row["id"]
        assert example.target == row["seq_out"], row["id"]
        assert example.details == {"db_id": row["db_id"]}


def test_committed_verdicts_come_out_of_the_task():
    rows = committed("spider").rows("verdicts.jsonl.gz")[::4]
    examples = [Example("dev:0", "", "", (row["gold"],), {"db_id": row["db_id"]}) for row in rows]
    scores = score(Spider(committed("spider").release), [row["prediction"] for row in rows], examples).corpus

    assert scores["exact_match"] == pytest.approx(100 * sum(row["exact"] for row in rows) / len(rows))
    for hardness in ("easy", "medium", "hard", "extra"):
        own = [row["exact"] for row in rows if row["hardness"] == hardness]
        assert scores[hardness]["examples"] == len(own)
        assert scores[hardness]["exact_match"] == pytest.approx(100 * sum(own) / len(own))


def test_the_name_of_a_database_that_no_file_can_have_is_an_error(tmp_path):
    write(tmp_path, [{**QUESTIONS[0], "db_id": "x" * 5000}])
    with pytest.raises(InputError, match="cell_values needs the databases"):
        list(Spider(tmp_path, cell_values=True).read("dev"))
