"""JSON files and rows that a kill, a full disk or another writer cannot spoil."""

import os
import threading

import numpy as np
import pytest
from commands import start_python
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.errors import InputError
from ipt_jax.workdir.json_files import append_rows, read_json, read_rows, repair, write_json, write_text


def run_python(source: str, *arguments: str) -> str:
    process = start_python(source, *arguments)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def test_a_json_file_that_cannot_be_written_leaves_the_old_one_and_no_litter(tmp_path):
    write_json(tmp_path / "run.json", {"score": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "run.json", {"score": float("inf")})
    assert read_json(tmp_path / "run.json") == {"score": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_json_file_that_is_not_an_object_is_named_in_the_error(tmp_path):
    (tmp_path / "run.json").write_text('{"score": 1')
    with pytest.raises(InputError, match=r"run\.json: not a JSON object"):
        read_json(tmp_path / "run.json")


def test_rows_come_back_as_they_were_appended_also_from_numpy(tmp_path):
    assert append_rows(tmp_path / "rows.jsonl", [{"step": np.int32(1), "loss": np.float32(0.5)}, {"p": np.arange(2)}])
    append_rows(tmp_path / "rows.jsonl", [{"step": 2}])
    assert read_rows(tmp_path / "rows.jsonl") == [{"step": 1, "loss": 0.5}, {"p": [0, 1]}, {"step": 2}]


@given(st.text(), st.text())
def test_any_text_survives_with_its_line_ends_and_separators(tmp_path_factory, first, second):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [{"prediction": first}, {"prediction": second + "\u2028\n\x85\ud800"}]
    append_rows(path, rows)
    assert read_rows(path) == rows


def test_a_nan_in_one_row_writes_none_of_the_rows(tmp_path):
    append_rows(tmp_path / "rows.jsonl", [{"step": 0}])
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_rows(tmp_path / "rows.jsonl", [{"step": 1}, {"step": 2, "loss": float("nan")}])
    assert read_rows(tmp_path / "rows.jsonl") == [{"step": 0}]


def test_a_missing_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "absent.jsonl") == []


def test_a_torn_last_line_is_dropped_with_a_warning_and_the_rest_is_kept(tmp_path, caplog):
    (tmp_path / "rows.jsonl").write_bytes(b'{"step": 1}\n{"step": 2, "text": "\xc3')
    assert read_rows(tmp_path / "rows.jsonl") == [{"step": 1}]
    assert "rows.jsonl:2: dropped a torn last line of 22 bytes" in caplog.text


def test_appending_after_a_torn_line_removes_it_first(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2, "lo')
    append_rows(path, [{"step": 3}])
    assert path.read_bytes() == b'{"step": 1}\n{"step": 3}\n'


@pytest.mark.parametrize("tail", [b'{"text": "' + b"x" * 200_000, b"{", b""])
def test_repair_removes_exactly_the_torn_tail_however_long(tmp_path, tail):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"step": 1}\n' * 10_000 + tail)
    assert repair(path) == len(tail)
    assert path.read_bytes() == b'{"step": 1}\n' * 10_000


def test_a_whole_last_row_without_a_line_end_is_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    assert read_rows(path) == [{"step": 1}, {"step": 2}]
    assert repair(path) == 0
    append_rows(path, [{"step": 3}])
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


@pytest.mark.parametrize("line", [b'{"step": 2', b"", b"[2]", b'{"loss": NaN}', b'{"text": "\xff"}'])
def test_a_malformed_line_in_the_middle_is_an_error_with_file_and_line(tmp_path, line):
    (tmp_path / "rows.jsonl").write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not a JSON object"):
        read_rows(tmp_path / "rows.jsonl")


def test_a_full_disk_loses_nothing_and_says_what_to_do(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"step": 1}])
    output = run_python(
        """
        import resource, signal, sys
        from ipt_jax.errors import InputError
        from ipt_jax.workdir.json_files import append_rows, write_json
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        for write in (lambda: append_rows(sys.argv[1], [{'step': 2}, {'text': 'x' * 200}]),
                      lambda: write_json(sys.argv[2], {'text': 'x' * 200})):
            try:
                write()
            except InputError as error:
                print(error)
        append_rows(sys.argv[1], [{'step': 3}])
        """,
        str(path),
        str(tmp_path / "result.json"),
    )
    rows_error, json_error = output.splitlines()
    assert rows_error.startswith(f"{path}: could not write 225 bytes") and "Free some space" in rows_error
    assert json_error.startswith(f"{tmp_path / 'result.json'}: could not write") and "Free some space" in json_error
    assert read_rows(path) == [{"step": 1}, {"step": 3}]
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]


def test_concurrent_writers_lose_no_row_and_mix_none(tmp_path):
    path = tmp_path / "rows.jsonl"
    source = """
        from ipt_jax.workdir.json_files import append_rows
        for number in range(50):
            append_rows(sys.argv[1], [{'writer': int(sys.argv[2]), 'number': number, 'text': 'x' * 3_000}] * 2)
        """
    writers = [start_python(source, str(path), str(writer)) for writer in range(4)]
    assert [each.communicate(timeout=60)[1] for each in writers] == [""] * 4
    rows = read_rows(path)
    for writer in range(4):  # each writer's pairs of rows are there, in the order of writing
        assert [row["number"] for row in rows if row["writer"] == writer] == [n for n in range(50) for _ in range(2)]
    assert all(rows[i] == rows[i + 1] for i in range(0, len(rows), 2))


def test_a_row_with_a_unique_key_is_appended_once_by_any_number_of_writers(tmp_path):
    source = (
        "from ipt_jax.workdir.json_files import append_rows; append_rows(sys.argv[1], [{'run': 'a'}], unique_key='run')"
    )
    writers = [start_python(source, str(tmp_path / "rows.jsonl")) for _ in range(4)]
    assert [each.communicate(timeout=60)[1] for each in writers] == [""] * 4
    assert append_rows(tmp_path / "rows.jsonl", [{"run": "a"}, {"run": "b"}], unique_key="run") == 1
    assert read_rows(tmp_path / "rows.jsonl") == [{"run": "a"}, {"run": "b"}]


@pytest.mark.parametrize("through", ["itself", "a link"])
def test_what_is_no_file_is_written_to_and_never_replaced(tmp_path, through):
    """A device such as /dev/null, too: whoever may rename files there would take it from the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if through == "a link":
        path = tmp_path / "link"
        path.symlink_to(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_text(path, "content")
    reader.join(timeout=10)
    assert found == [b"content"] and pipe.is_fifo() and path.is_symlink() == (through == "a link")
    with pytest.raises(InputError, match="rows are kept in a file, which this is not"):
        append_rows(path, [{"a": 1}])
    assert pipe.is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == sorted({"pipe", path.name})


def test_a_link_to_a_file_stays_a_link_to_the_new_content(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
