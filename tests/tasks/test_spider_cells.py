"""Spider's cells: which of a database's cells a question names, behind which column, and errors."""

import random
import sqlite3

import pytest
from official import goldens, read_json
from spider_files import BAND, INPUT, write, write_database

from ipt_jax.errors import InputError
from ipt_jax.tasks.base import data_hash
from ipt_jax.tasks.spider import Spider, read_schemas
from ipt_jax.tasks.spider_cells import _filter, _match, _ratio, cell_hints, matching_cells


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


def test_missing_databases_are_an_error_that_names_them_and_the_option(tmp_path):
    with pytest.raises(InputError, match=r"cell_values needs the databases; 1 .*Band\.sqlite.*cell_values=False"):
        Spider(write(tmp_path), cell_values=True).files("dev")


def test_a_database_that_does_not_fit_the_schemas_is_an_error_with_its_path(tmp_path):
    path = write_database(write(tmp_path), {"Singer": {"ID": [1], "name": ["x"]}})

    with pytest.raises(InputError, match=r"Band\.sqlite: cannot read column 'Home' of table 'Singer'"):
        list(Spider(tmp_path, cell_values=True).read("dev"))
    path.write_text("no database")
    with pytest.raises(InputError, match=r"Band\.sqlite: .*not a database"):
        cell_hints("Who?", "Singer", "new", path)


@pytest.mark.parametrize("golden", goldens("spider"))
def test_all_golden_inputs_with_cells_are_equal(golden, tmp_path):
    databases = golden.json("cell_databases.json")
    schemas = read_schemas(golden.release / "tables.json.gz")
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
    rows = golden.rows("inputs_with_cell.jsonl.gz")
    questions = read_json(golden.release / "dev.json.gz")
    numbers = [int(row["id"].removeprefix("dev:")) for row in rows]
    write(tmp_path, [questions[number] for number in numbers], list(schemas.values()))

    assert len(rows) == (186 if golden.whole else 60)
    for row, example in zip(rows, Spider(tmp_path, cell_values=True).read("dev"), strict=True):
        assert example.input == f"{row['text_in']} {row['struct_in']}", row["id"]
        assert example.target == row["seq_out"], row["id"]


def test_a_database_whose_names_are_no_text_is_an_error(tmp_path):
    """SQLite quotes the name, and Python cannot read the message."""
    database = write_database(tmp_path, BAND)
    database.write_bytes(database.read_bytes().replace(b"tableSinger", b"tableSi\xeeger"))
    with pytest.raises(InputError, match=r"Band\.sqlite: cannot read column 'Title' of table 'Song'"):
        cell_hints("Ann", "Song", "Title", database)
