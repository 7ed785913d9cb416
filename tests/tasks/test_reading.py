"""Streaming a JSON list: any chunk size, and errors that say where."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_jax.errors import InputError
from ipt_jax.tasks import reading
from ipt_jax.tasks.reading import content_sha256, find_file, read_json_lines, read_json_list, read_lines

RECORDS = [{"a": "é — 語 😀", "b": [1, {"c": "}]"}]}, {}, {"long": "x" * 300}]


def read_all(path):
    return [record for _, record in read_json_list(path)]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_records_do_not_depend_on_where_chunks_end(tmp_path, monkeypatch, chunk, indent):
    monkeypatch.setattr(reading, "_CHUNK", chunk)
    path = tmp_path / "list.json"
    path.write_text(json.dumps(RECORDS, ensure_ascii=False, indent=indent), encoding="utf-8")

    assert read_all(path) == RECORDS


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5
)


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(), JSON_VALUES), max_size=5))
def test_every_list_of_objects_comes_back(tmp_path_factory, records):
    path = tmp_path_factory.getbasetemp() / "list.json.gz"
    path.write_bytes(gzip.compress(json.dumps(records).encode()))

    assert read_all(path) == records


@pytest.mark.parametrize("chunk", [5, 1 << 20])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_record_comes_with_the_line_it_starts_on(tmp_path, monkeypatch, chunk, newline):
    monkeypatch.setattr(reading, "_CHUNK", chunk)
    path = tmp_path / "list.json"
    path.write_bytes(newline.join(["[", '  {"a":', "    1},", "", '  {"b": 2}', "]"]).encode())

    assert list(read_json_list(path)) == [(2, {"a": 1}), (5, {"b": 2})]


@pytest.mark.parametrize("chunk", [3, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}', r":1: the file should be a JSON list"),
        ("", r":1: the file should be a JSON list"),
        ('[\n{"a": 1},\n{"b": tru}\n]', r":3: record 1: not valid JSON"),
        ('[\n{"a": 1},\n{"b":\n"cut off', r":4: record 1: not valid JSON: Unterminated string"),
        ('[\n{"a": 1},\n3]', r":3: record 1: each entry of the list should be a JSON object"),
        ('[\n{"a": 1}\n{"b": 2}]', r":3: record 1: expected ',' or ']'"),
        ('[\n{"a": 1}\n', r":3: record 1: expected ',' or ']'"),
        ('[\n{"a": 1},\n]', r":3: record 1: each entry"),
        ('[\n{"a": 1}\n]\n[]', r":4: record 1: there is more text"),
    ],
)
def test_a_malformed_list_is_an_error_with_file_line_and_record(tmp_path, monkeypatch, text, message, chunk):
    monkeypatch.setattr(reading, "_CHUNK", chunk)
    path = tmp_path / "list.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=r"list\.json" + message):
        read_all(path)


def test_records_before_a_malformed_one_are_given(tmp_path):
    path = tmp_path / "list.json"
    path.write_text('[{"a": 1}, {"b": }]')
    rows = read_json_list(path)

    assert next(rows) == (1, {"a": 1})
    with pytest.raises(InputError, match="record 1"):
        next(rows)


def test_a_truncated_gzip_file_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "list.json.gz"
    path.write_bytes(gzip.compress(json.dumps(RECORDS * 50).encode())[:-20])

    for use in (read_all, content_sha256):
        with pytest.raises(InputError, match="list.json.gz.*damaged or incomplete"):
            use(path)


def test_a_file_that_is_not_gzip_or_not_utf8_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "list.json.gz"
    path.write_bytes(b"[]")
    with pytest.raises(InputError, match="damaged"):
        read_all(path)

    path = tmp_path / "list.json"
    path.write_bytes('[{"a": "é"}]'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_all(path)


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_come_with_their_numbers_and_empty_lines_are_passed_over(tmp_path, packed):
    text = '{"a": "é\u2028"}\r\n\n  \n{"b": 2}'.encode()
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    path.write_bytes(gzip.compress(text) if packed else text)

    assert list(read_json_lines(path)) == [(1, {"a": "é\u2028"}), (4, {"b": 2})]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": tru}', r"not valid JSON: Expecting value \(column 7\)"),
        (b"[1]", "each line should be a JSON object"),
        (b'{"a": "\xe9"}', "not UTF-8 text"),
    ],
)
def test_a_malformed_line_is_an_error_with_file_and_line(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b"\n")
    rows = read_json_lines(path)

    assert next(rows) == (1, {"a": 1})
    with pytest.raises(InputError, match=rf"rows\.jsonl:3: {message}"):
        next(rows)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("9" * 5000, "digits"),
        ('"a \\ud800"', r"\\ud800 is half a"),
    ],
)
@pytest.mark.parametrize("form", ["lines", "list"])
def test_json_that_python_cannot_hold_is_an_error_with_its_place(tmp_path, form, value, message):
    path = tmp_path / "x"
    row = f'{{"a": {value}}}'
    path.write_text(f'{{"a": 1}}\n{row}\n' if form == "lines" else f'[{{"a": 1}},\n{row}]')
    with pytest.raises(InputError, match=rf"x:2: .*{message}"):
        list(read_json_lines(path) if form == "lines" else read_json_list(path))


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert list(read_json_lines(path)) == [(1, {"a": 1})]
    path.write_bytes(b'\xef\xbb\xbf[{"a": 1}]')
    assert list(read_json_list(path)) == [(1, {"a": 1})]


def test_only_line_feeds_end_lines(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("a\x0cb\u2028c\r\n\nlast".encode())
    assert list(read_lines(path)) == [(1, "a\x0cb\u2028c"), (2, ""), (3, "last")]


def test_damaged_gzip_lines_are_an_error_that_says_so(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 5_000)[:-20])
    with pytest.raises(InputError, match=r"rows\.jsonl\.gz:\d+: the file is damaged or incomplete"):
        list(read_json_lines(path))


def test_the_plain_file_is_found_before_the_packed_one(tmp_path):
    assert find_file(tmp_path, "x.json") is None
    (tmp_path / "x.json.gz").touch()
    assert find_file(tmp_path, "x.json") == tmp_path / "x.json.gz"
    (tmp_path / "x.json").touch()
    assert find_file(tmp_path, "x.json") == tmp_path / "x.json"
