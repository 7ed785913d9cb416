"""Spider's files as tests write them: questions, schemas and databases of a small band."""

import json
import sqlite3

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
