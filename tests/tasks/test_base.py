"""Splits as Arrow tables: content, subset, cache key, atomic writing."""

import gzip
import json
import shutil

import pytest

from ipt_jax.errors import InputError
from ipt_jax.tasks.base import Example, data_hash, load_split


class WordTask:
    """One example per line of `<split>.txt`; counts how often a split is read."""

    name = "words"
    title = "Words"
    metrics = ()
    options = {}

    def __init__(self, folder, reader_version=1):
        self.folder = folder
        self.reader_version = reader_version
        self.reads = 0

    def files(self, split):
        return [next(self.folder.glob(f"{split}.txt*"))]

    def read(self, split):
        self.reads += 1
        (path,) = self.files(split)
        for number, word in enumerate(path.read_text(encoding="utf-8").split()):
            if word == "BAD":
                raise InputError(f"{path}:{number + 1}: bad word")
            yield Example(f"{split}:{number}", word, word.upper(), (word.upper(), "other"), {"length": len(word)})


@pytest.fixture
def words(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.txt").write_text("\n".join(f"word{n}" for n in range(2_500)), encoding="utf-8")
    return WordTask(tmp_path / "data")


def test_a_split_has_its_five_columns_in_file_order(words, tmp_path):
    table = load_split(words, "train", cache_dir=tmp_path / "cache")

    assert table.column_names == ["id", "input", "target", "references", "details"]
    assert len(table) == 2_500
    assert table[1_700] == {
        "id": "train:1700",
        "input": "word1700",
        "target": "WORD1700",
        "references": ["WORD1700", "other"],
        "details": '{"length":8}',
    }
    assert table["id"][:] == [f"train:{n}" for n in range(2_500)]


def test_an_example_comes_back_from_its_row_as_it_went_in(words, tmp_path):
    table = load_split(words, "train", limit=3, cache_dir=tmp_path / "cache")

    originals = {example.id: example for example in words.read("train")}
    assert [Example.from_row(row) for row in table] == [originals[id] for id in table["id"]]
    odd = Example("x", "a", "b", ("b",), {"deep": [{"é\ud800": None}], "flag": True})
    assert Example.from_row(odd.to_row()) == odd


def test_the_table_is_mapped_from_the_given_folder_and_nothing_else_is_written(words, tmp_path):
    table = load_split(words, "train", limit=10, cache_dir=tmp_path / "cache")

    (folder,) = (tmp_path / "cache").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["data.arrow", "info.json"]
    assert [file["filename"] for file in table.cache_files] == [str(folder / "data.arrow")]
    assert json.loads((folder / "info.json").read_text())["examples"] == 2_500


def test_a_limit_draws_from_the_whole_split_and_keeps_file_order(words, tmp_path):
    ids = load_split(words, "train", limit=100, cache_dir=tmp_path)["id"][:]
    numbers = [int(text.split(":")[1]) for text in ids]

    assert len(set(numbers)) == 100
    assert numbers == sorted(numbers)
    # Of 100 draws about 20 fall into each fifth; none of them below 5 is far from chance, the first 100 is not.
    assert min(sum(n // 500 == fifth for n in numbers) for fifth in range(5)) > 5


def test_a_smaller_limit_keeps_a_subset_of_a_larger_one(words, tmp_path):
    small = load_split(words, "train", limit=50, cache_dir=tmp_path)["id"][:]
    large = load_split(words, "train", limit=60, cache_dir=tmp_path)["id"][:]

    assert set(small) < set(large)


def test_a_limit_above_the_size_keeps_everything_and_one_below_1_is_an_error(words, tmp_path):
    assert len(load_split(words, "train", limit=9_999, cache_dir=tmp_path)) == 2_500
    with pytest.raises(InputError, match="limit = 0"):
        load_split(words, "train", limit=0, cache_dir=tmp_path)


def test_a_second_call_does_not_read_the_files_again(words, tmp_path):
    first = load_split(words, "train", cache_dir=tmp_path)
    second = load_split(words, "train", limit=3, cache_dir=tmp_path)

    assert words.reads == 1
    assert set(second["input"]) <= set(first["input"])


def test_a_changed_file_and_a_changed_reader_are_read_anew(words, tmp_path):
    load_split(words, "train", cache_dir=tmp_path)
    (words.folder / "train.txt").write_text("changed", encoding="utf-8")
    assert load_split(words, "train", cache_dir=tmp_path)["input"][:] == ["changed"]

    newer = WordTask(words.folder, reader_version=2)
    load_split(newer, "train", cache_dir=tmp_path)
    assert newer.reads == 1


def test_the_same_files_under_another_option_are_read_anew(words, tmp_path):
    load_split(words, "train", cache_dir=tmp_path)
    words.options = {"caption": True}
    load_split(words, "train", cache_dir=tmp_path)
    load_split(words, "train", cache_dir=tmp_path)
    assert words.reads == 2


@pytest.mark.parametrize("damage", ["a letter", "half", "nothing left", "no table", "no record"])
def test_a_damaged_table_is_made_anew_with_a_warning(words, tmp_path, caplog, damage):
    cache = tmp_path / "cache"
    load_split(words, "train", cache_dir=cache)
    table = next(cache.rglob("data.arrow"))
    content = table.read_bytes()
    if damage == "a letter":
        table.write_bytes(content.replace(b"word1234", b"wort1234", 1))
    elif damage == "half":
        table.write_bytes(content[: len(content) // 2])
    elif damage == "nothing left":
        table.write_bytes(b"")
    elif damage == "no table":
        table.unlink()
    else:
        table.with_name("info.json").write_text("[]")

    assert load_split(words, "train", cache_dir=cache)["input"][1234] == "word1234"
    assert words.reads == 2 and "made anew" in caplog.text
    load_split(words, "train", cache_dir=cache)
    assert words.reads == 2


def test_an_error_in_the_middle_leaves_no_table_behind(words, tmp_path):
    (words.folder / "dev.txt").write_text("good\n" * 1_500 + "BAD", encoding="utf-8")

    with pytest.raises(InputError, match="dev.txt:1501: bad word"):
        load_split(words, "dev", cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_empty_split_is_an_error_that_names_split_and_file(words, tmp_path):
    (words.folder / "dev.txt").write_text("", encoding="utf-8")

    with pytest.raises(InputError, match=r"split 'dev' of task 'words' is empty: .*dev\.txt"):
        load_split(words, "dev", cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_table_that_another_process_wrote_meanwhile_is_used(words, tmp_path):
    class Rival(WordTask):
        """Writes the same table while the first writer is still reading."""

        def read(self, split):
            yield from super().read(split)
            load_split(words, split, cache_dir=tmp_path / "cache")

    table = load_split(Rival(words.folder), "train", cache_dir=tmp_path / "cache")

    assert len(table) == 2_500
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_data_hash_depends_on_the_text_and_not_on_its_compression_or_place(tmp_path):
    plain, packed, other = (WordTask(tmp_path / name) for name in ("plain", "packed", "other"))
    for task in (plain, packed, other):
        task.folder.mkdir()
    (plain.folder / "train.txt").write_bytes(b"same words")
    (packed.folder / "train.txt.gz").write_bytes(gzip.compress(b"same words"))
    (other.folder / "train.txt").write_bytes(b"other words")

    assert data_hash(plain, "train") == data_hash(packed, "train") != data_hash(other, "train")
    assert len(data_hash(plain, "train")) == 64


def test_the_data_hash_of_several_splits_covers_each_of_them(words):
    (words.folder / "dev.txt").write_text("one", encoding="utf-8")
    before = data_hash(words, ("train", "dev"))
    (words.folder / "dev.txt").write_text("two", encoding="utf-8")

    assert data_hash(words, ("train", "dev")) != before
    assert data_hash(words, ["train"]) == data_hash(words, "train")


def test_a_file_where_the_table_should_lie_gives_way(words, tmp_path):
    table = load_split(words, "train", limit=3, cache_dir=tmp_path / "cache")["id"][:]
    (folder,) = (tmp_path / "cache").iterdir()
    shutil.rmtree(folder)
    folder.write_text("")
    assert load_split(words, "train", limit=3, cache_dir=tmp_path / "cache")["id"][:] == table


def test_a_file_where_the_cache_should_lie_is_told_in_one_line(words, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match=r"cache: cannot be written .* config\.execution\.cache_dir"):
        load_split(words, "train", cache_dir=tmp_path / "cache")
