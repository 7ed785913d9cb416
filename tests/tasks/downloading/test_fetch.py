"""Fetching one file: broken connections, ranges, refusals."""

import pytest
from local_server import serve

from ipt_jax.errors import InputError
from ipt_jax.tasks.downloading.fetch import fetch

CONTENT = b"0123456789" * 30_000
LIMIT = 10_000_000


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve({"file": CONTENT}) as state:
        yield state


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.break_after = [100_000, 50_000]
    partial = tmp_path / "file.part"
    fetch(server.url + "file", partial, timeout=10, max_bytes=LIMIT)

    assert partial.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    server.break_after, server.ranges = [1_000], False
    partial = tmp_path / "file.part"
    fetch(server.url + "file", partial, timeout=10, max_bytes=LIMIT)

    assert partial.read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_started_anew(server, tmp_path):
    partial = tmp_path / "file.part"
    partial.write_bytes(b"x" * 10_000_000)
    fetch(server.url + "file", partial, timeout=10, max_bytes=LIMIT)

    assert partial.read_bytes() == CONTENT


def test_a_server_that_does_not_answer_is_an_error(tmp_path):
    with pytest.raises(InputError, match="Connection refused"):
        fetch("http://127.0.0.1:1/file.json", tmp_path / "file.part", timeout=2, max_bytes=LIMIT)


def test_a_server_that_sends_too_much_is_refused_and_nothing_is_kept(server, tmp_path):
    server.files["big"] = b"x" * 2_000
    partial = tmp_path / "big.part"
    with pytest.raises(InputError, match="more than the 1,000 bytes"):
        fetch(server.url + "big", partial, timeout=10, max_bytes=1_000)
    assert not partial.exists()


def test_an_address_that_is_none_is_an_error_that_names_the_flag(tmp_path):
    with pytest.raises(InputError, match="not an address .*--base_url"):
        fetch("example", tmp_path / "x.part", timeout=2, max_bytes=LIMIT)
