"""Finished searches on disk, under what they were made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_oracle import pool_of

from ipt_jax.errors import InputError
from ipt_jax.retrieval import Pool, bm25_neighbours, kept_neighbours
from ipt_jax.retrieval.cache import digest


def test_a_finished_search_is_read_back_unless_anything_differs(tmp_path):
    pool, searches = pool_of(["a b", "a c", "b c"]), []

    def find():
        searches.append(1)
        return bm25_neighbours(pool, pool, 2)

    first = kept_neighbours(tmp_path, ["bm25", "2"], pool, pool, find)
    again = kept_neighbours(tmp_path, ["bm25", "2"], pool, pool, find)
    assert len(searches) == 1
    assert (again.indices == first.indices).all() and (again.similarities == first.similarities).all()
    assert again.duplicates_excluded == first.duplicates_excluded
    other_id = Pool(["train:0", "train:1", "train:9"], pool.inputs)
    for settings, queries in ((["bm25", "1"], pool), (["bm25", "2"], other_id)):
        kept_neighbours(tmp_path, settings, queries, pool, find)
    assert len(searches) == 3


def test_what_lies_where_neighbours_should_be_kept_gives_way_or_is_told(tmp_path):
    pool = pool_of(["a b", "a c", "b c"])
    find = lambda: bm25_neighbours(pool, pool, 2)  # noqa: E731
    kept_neighbours(tmp_path / "cache", ["bm25"], pool, pool, find)
    (path,) = (tmp_path / "cache").iterdir()
    path.unlink()
    path.mkdir()
    kept_neighbours(tmp_path / "cache", ["bm25"], pool, pool, find)
    assert path.is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written .* config\.execution\.cache_dir"):
        kept_neighbours(tmp_path / "file", ["bm25"], pool, pool, find)


@pytest.mark.parametrize("damage", range(-1, 12))
def test_a_damaged_file_of_neighbours_is_made_anew_with_a_warning(tmp_path, caplog, damage):
    pool, searches = pool_of(["a b", "a c", "b c"]), []

    def find():
        searches.append(1)
        return bm25_neighbours(pool, pool, 2)

    first = kept_neighbours(tmp_path, ["bm25"], pool, pool, find)
    (path,) = tmp_path.glob("*.npz")
    content = bytearray(path.read_bytes())
    if damage < 0:
        del content[len(content) // 2 :]
    else:
        content[damage * len(content) // 12] ^= 0x10
    path.write_bytes(bytes(content))
    again = kept_neighbours(tmp_path, ["bm25"], pool, pool, find)
    assert (again.indices == first.indices).all() and (again.similarities == first.similarities).all()
    assert len(searches) == 1 or "made anew" in caplog.text
    kept_neighbours(tmp_path, ["bm25"], pool, pool, find)
    assert len(searches) <= 2


@given(st.lists(st.lists(st.text(max_size=3), max_size=3), max_size=3), st.integers(0, 10), st.integers(0, 3))
def test_a_digest_changes_when_text_moves_between_neighbours(groups, cut, place):
    joined = [[*group] for group in groups]
    flat = "".join(text for group in groups for text in group)
    split = [*joined, [flat[:cut], flat[cut:]]]
    whole = [*joined, [flat]]
    assert digest(*split) != digest(*whole)
    assert digest(*split[:place], [], *split[place:]) != digest(*split)
    assert digest(*split) == digest(*(tuple(group) for group in split))
