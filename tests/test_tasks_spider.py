"""Spider: linearisation, targets, cells, ids, counts, scores and errors."""

import gzip
import json
import random
import sqlite3
from pathlib import Path

import pytest
from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.tasks import spider
from ipt_jax.tasks.base import Example, data_hash
from ipt_jax.tasks.spider import Spider, normalise, read_schemas
from ipt_jax.tasks.spider_cells import _filter, _match, _ratio, cell_hints, matching_cells

SHARED = Path(__file__).parents[2] / "shared"

SCHEMA = {
    "db_id": "Band",
    "table_names_original": ["Singer", "Song", "sqlite_sequence"],
    "column_names_original": [
        [-1, "*"], [0, "ID"], [0, "name"], [0, "Home"], [1, "Title"], [1, "Singer"], [2, "name"], [2, "seq"],
    ],
    "foreign_keys": [[5, 1]],
}  # fmt: skip
QUESTIONS = [
    {"question": "How old is Ann? \n", "query": "SELECT Name ,  ID FROM Singer", "db_id": "Band"},
    {"question": "Who is from Oslo?", "query": "SELECT name FROM Singer WHERE Home = 'Oslo'", "db_id": "Band"},
]
INPUT = "How old is Ann? | Band | singer : id , name , home | song : title , singer | sqlite_sequence : name , seq"


def write(folder, questions=QUESTIONS, schemas=(SCHEMA,), name="dev.json"):
    (folder / name).write_text(json.dumps(questions))
    (folder / "tables.json").write_text(json.dumps(schemas))
    return folder


def write_database(folder, tables, name="Band"):
    """Makes an SQLite file of {table: {column: cells}}; shorter columns end in NULL."""
    path = folder / "database" / name / f"{name}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    for table, columns in tables.items():
        connection.execute(f'CREATE TABLE "{table}" ({", ".join(f""""{column}" """ for column in columns)})')
        for row in range(max(map(len, columns.values()))):
            cells = [cells[row] if row < len(cells) else None for cells in columns.values()]
            connection.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(cells))})', cells)
    connection.commit()
    connection.close()
    return path


BAND = {
    "Singer": {"ID": [1, 2, 3], "name": ["Ann", "Bo"], "Home": ["Oslo", "Oslo", "Rome"]},
    "Song": {"Title": ["Ann"], "Singer": [1]},
}


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


def test_a_question_names_cells_behind_their_column_when_asked_to(tmp_path):
    write(tmp_path)
    write_database(tmp_path, BAND)
    task = Spider(tmp_path, cell_values=True)
    first, second = (example.input for example in task.read("dev"))

    assert first == INPUT.replace("name , home", "name ( Ann ) , home").replace("title", "title ( Ann )")
    assert " home ( Oslo ) |" in second
    assert task.options == {"cell_values": True}
    assert [path.name for path in task.files("dev")] == ["dev.json", "tables.json", "Band.sqlite"]
    assert Spider(tmp_path).options == {"cell_values": False}
    assert [path.name for path in Spider(tmp_path).files("dev")] == ["dev.json", "tables.json"]


def test_a_changed_cell_changes_the_hash_of_the_data_only_if_cells_are_read(tmp_path):
    write(tmp_path)
    write_database(tmp_path, BAND)
    hashes = [data_hash(Spider(tmp_path, cell_values=cells), "dev") for cells in (False, True)]
    connection = sqlite3.connect(tmp_path / "database" / "Band" / "Band.sqlite")
    connection.execute("UPDATE Song SET Title = 'Joe'")
    connection.commit()
    connection.close()

    assert data_hash(Spider(tmp_path), "dev") == hashes[0]
    assert data_hash(Spider(tmp_path, cell_values=True), "dev") != hashes[1]


@pytest.mark.parametrize(
    ("question", "cell", "similarity"),
    [
        ("Is Rome big?", "Rome", 1.0),
        ("Is rome big?", "Rome", 1.0),
        ("Is romeo big?", "Rome", 1 - 1 / 9),
        ("  Is Rome big?", "Rome", None),  # Positions are counted without the first blanks, texts with them.
        ("Are the cities bigger?", "city", None),
        ("Is it in aRome?", "Rome", None),
        ("Is Romeonia big?", "Rome", None),
        ("Was it Rome's?", "Rome", 1.0),
        ("Was it Rome's?", "Rome, Italy", None),
        ("Who is who?", "who", None),
        ("What is 1,970?", "1,970", None),
        ("What is the id?", "id", None),
        ("Say yes please", "yes", 1.0),
        ("Say yess please", "yes", None),
        ("Fly with UAL now", "UAL", 1.0),
        ("Fly with UALL now", "UAL", None),
        ("Fly with UALL now", "Ual", 1 - 1 / 7),
        ("An apple pie is good", "pple pie", None),
        ("A b c", "b", None),
        ("anything", "", None),
    ],
)
def test_a_cell_matches_whole_words_that_are_similar_enough(question, cell, similarity):
    matches = matching_cells(question, [cell])

    assert matches == ([] if similarity is None else [(cell, pytest.approx(similarity))])


def test_at_most_two_cells_are_named_the_most_similar_and_then_the_longest_first(tmp_path):
    cells = ["Novell", "Oslo", "Rome, Italy", "Parise"]
    path = write_database(tmp_path, {"t": {"City": cells, "city name": cells, "Number": [1, 2.5]}})
    question = "Oslo, Rome, Italy or Paris or Novel?"

    assert cell_hints(question, "t", "City", path) == ["Rome, Italy", "Oslo"]
    assert cell_hints("Is it Paris?", "t", "City", path) == ["Parise"]
    assert cell_hints("Is it Paris?", "t", "city name", path) == []
    assert cell_hints("Is it 1?", "t", "Number", path) == []


def test_of_cells_that_share_the_same_words_the_last_one_stands_for_all():
    assert matching_cells("Is it Oslo?", ["Oslo", "Oslos"]) == [("Oslos", pytest.approx(8 / 9))]
    assert matching_cells("Is it Oslo?", ["Oslos", "Oslo"]) == [("Oslo", 1.0)]


def test_cells_that_are_not_utf8_are_read_as_latin_1(tmp_path):
    path = write_database(tmp_path, {"t": {"a": [b"Malm\xf6", "Tromsø"]}})

    assert cell_hints("Is it Malmö or Tromsø?", "t", "a", path) == ["Tromsø", "Malmö"]


def edited_cells(question, rng):
    """Pieces of a question with up to three letters put in, changed or removed."""
    words = question.split()
    for _ in range(12):
        start = rng.randrange(len(words))
        cell = list(" ".join(words[start : start + rng.randrange(1, 4)]))
        for _ in range(rng.randrange(4)):
            place = rng.randrange(len(cell) + 1)
            cell[place : place + rng.randrange(2)] = rng.choice(["", "s", "e", " ", "."])
        yield "".join(cell)


def test_the_quick_filter_passes_every_cell_that_matches():
    rng, found, left_out = random.Random(4), 0, 0
    words = "show the name of flights from Aberdeen to New York City and Washington by JetBlue in 1970"
    for _ in range(300):
        question = " ".join(rng.choices(words.split(), k=12)) + "?"
        could_match = _filter(question)
        for cell in edited_cells(question, rng):
            if _match(question, cell):
                found += 1
                assert could_match(cell), (question, cell)
            left_out += not could_match(cell)
    assert found > 1_000
    assert left_out > 10


@pytest.mark.parametrize(
    ("first", "second", "ratio"),
    [("abc", "abc", 1), ("abc", "abd", 4 / 6), ("abc", "", 0), ("aab", "baa", 4 / 6), ("kitten", "sitting", 8 / 13)],
)
def test_the_ratio_counts_insertions_and_deletions(first, second, ratio):
    assert _ratio(first, second) == pytest.approx(ratio)
    assert _ratio(second, first) == pytest.approx(ratio)


def test_scores_are_percents_over_all_and_by_hardness(tmp_path):
    task = Spider(write(tmp_path))
    examples = list(task.read("dev"))
    scores = task.score(["select ID , Name from SINGER", "no SQL"], examples)

    assert scores["exact_match"] == scores["parsed"] == 50
    assert scores["medium"] == {"examples": 1, "exact_match": 100, "parsed": 100}
    assert scores["easy"] == {"examples": 1, "exact_match": 0, "parsed": 0}
    assert scores.keys() == {"exact_match", "parsed", "easy", "medium", "signatures"}
    assert scores["signatures"].keys() == {"exact_match", "parsed"}
    assert task.metric in scores
    assert task.score_example("no SQL", examples[0]) == {"exact_match": 0, "parsed": 0}
    assert task.score_example(examples[0].target, examples[0]) == {"exact_match": 100, "parsed": 100}
    assert task.example_metric in task.score_example("", examples[0])


def test_execution_is_scored_where_the_databases_are_present(tmp_path):
    task = Spider(write(tmp_path))
    write_database(tmp_path, BAND)
    examples = list(task.read("dev"))
    scores = task.score(["DROP TABLE Singer", "SELECT name FROM Singer WHERE ID < 2 OR ID = 2"], examples)

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

    assert "execution_match" not in task.score(["x", "x", "x"], examples)
    assert warnings == [f"no execution_match: 1 databases are missing: {tmp_path / 'database/Other/Other.sqlite'}"]


def test_a_gold_that_cannot_be_parsed_or_run_matches_nothing_and_is_told(tmp_path, monkeypatch):
    task = Spider(write(tmp_path, [{**QUESTIONS[0], "query": "SELECT x FROM nowhere"}]))
    write_database(tmp_path, BAND)
    examples = list(task.read("dev"))
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))
    scores = task.score(["SELECT x FROM nowhere"], examples)

    assert scores.keys() == {"exact_match", "parsed", "execution_match", "signatures"}
    assert (scores["exact_match"], scores["parsed"], scores["execution_match"]) == (0, 0, 0)
    assert "'nowhere' is not a table" in warnings[0]
    assert "no such table: nowhere" in warnings[1]


def test_scores_of_no_example_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="no examples"):
        Spider(tmp_path).score([], [])


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


def test_missing_databases_are_an_error_that_names_them_and_the_option(tmp_path):
    with pytest.raises(InputError, match=r"cell_values needs the databases; 1 .*Band\.sqlite.*cell_values=False"):
        Spider(write(tmp_path), cell_values=True).files("dev")


@pytest.mark.parametrize("data_dir", [None, ""])
def test_an_unset_data_dir_is_an_error_that_says_so(data_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path))

    with pytest.raises(InputError, match=r"data_dir is unset: dev\.json, tables\.json"):
        Spider(data_dir).files("dev")
    with pytest.raises(InputError, match=r"data_dir is unset: tables\.json"):
        Spider(data_dir).score_example("x", Example("dev:0", "x", "y", ("y",), {"db_id": "Band"}))


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


def test_a_database_that_does_not_fit_the_schemas_is_an_error_with_its_path(tmp_path):
    path = write_database(write(tmp_path), {"Singer": {"ID": [1], "name": ["x"]}})

    with pytest.raises(InputError, match=r"Band\.sqlite: cannot read column 'Home' of table 'Singer'"):
        list(Spider(tmp_path, cell_values=True).read("dev"))
    path.write_text("no database")
    with pytest.raises(InputError, match=r"Band\.sqlite: .*not a database"):
        cell_hints("Who?", "Singer", "new", path)


@pytest.fixture(scope="module")
def release():
    folder = SHARED / "data" / "spider"
    if not folder.is_dir():
        pytest.skip("the Spider release is not in ../shared/data/spider")
    return {split: {example.id: example for example in Spider(folder).read(split)} for split in ("train", "dev")}


def golden(name):
    with gzip.open(SHARED / "golden" / "spider" / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_the_release_has_its_published_counts(release):
    assert {split: len(examples) for split, examples in release.items()} == {"train": 7_000, "dev": 1_034}


def test_all_golden_inputs_of_the_release_are_equal(release):
    rows = golden("inputs.jsonl.gz")
    assert len(rows) == 440
    for row in rows:
        example = release[row["id"].split(":")[0]][row["id"]]
        assert example.input == f"{row['text_in']} {row['struct_in']}", row["id"]
        assert example.target == row["seq_out"], row["id"]
        assert example.details == {"db_id": row["db_id"]}


def test_all_golden_inputs_with_cells_are_equal(release, tmp_path):
    databases = json.loads((SHARED / "golden" / "spider" / "cell_databases.json").read_text(encoding="utf-8"))
    schemas = read_schemas(SHARED / "data" / "spider" / "tables.json.gz")
    for name, listed in databases.items():
        entry, tables = schemas[name], {}
        for index, table in enumerate(entry["table_names_original"]):
            cells = listed.get(table, {})
            rows = max(map(len, cells.values()), default=0)
            columns = [column for owner, column in entry["column_names_original"] if owner == index]
            # A shorter list is filled up with its first cell.
            tables[table] = {
                column: [*cells[column], *cells[column][:1] * (rows - len(cells[column]))] if column in cells else []
                for column in columns
            }
        write_database(tmp_path, {table: tables[table] for table in tables if table != "sqlite_sequence"}, name)
    rows = golden("inputs_with_cell.jsonl.gz")
    questions = json.loads(gzip.decompress((SHARED / "data" / "spider" / "dev.json.gz").read_bytes()))
    numbers = [int(row["id"].removeprefix("dev:")) for row in rows]
    write(tmp_path, [questions[number] for number in numbers], list(schemas.values()))

    assert len(rows) == 186
    for row, example in zip(rows, Spider(tmp_path, cell_values=True).read("dev"), strict=True):
        assert example.input == f"{row['text_in']} {row['struct_in']}", row["id"]
        assert example.target == row["seq_out"], row["id"]
