"""Downloading against a server on this machine: checks, broken connections, refusals, zips."""

import dataclasses
import gzip
import hashlib
import io
import json
import zipfile

import pytest
from local_server import serve
from official import FULL, whole_release

from ipt_jax.errors import InputError
from ipt_jax.tasks import TASKS, download, get_task
from ipt_jax.tasks.dart import FILE_NAMES, Dart
from ipt_jax.tasks.download import RELEASES
from ipt_jax.tasks.reading import content_sha256

ENTRY = {"tripleset": [["a", "b", "c"]], "annotations": [{"text": "x" * 3_000}]}
FILES = {name: json.dumps([ENTRY] * 100).encode() for name in FILE_NAMES.values()}


def download_dart(folder, url):
    return download.download("dart", folder, url)


def zipped(members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return data.getvalue()


def use(monkeypatch, name, **changes):
    """The release of a task with other counts or checksums."""
    monkeypatch.setitem(RELEASES, name, dataclasses.replace(RELEASES[name], **changes))


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(FILES) as state:
        yield state


@pytest.fixture
def dart(server, monkeypatch):
    """The server, with DART's release on it: invented, with its own counts and checksum."""
    dev = FILE_NAMES["dev"]
    sha256 = {dev: hashlib.sha256(FILES[dev]).hexdigest()}
    use(monkeypatch, "dart", sha256=sha256, counts={"train": 100, "dev": 100, "test": (99, 100)})
    return server


def test_the_three_files_arrive_and_can_be_read(dart, tmp_path):
    paths = download_dart(tmp_path / "dart", dart.url)

    assert {path.name: path.read_bytes() for path in paths} == FILES
    assert sorted(path.name for path in (tmp_path / "dart").iterdir()) == sorted(FILES)
    assert len(list(Dart(tmp_path / "dart").read("train"))) == 100


def test_files_that_are_there_are_checked_and_not_fetched_again(dart, tmp_path):
    download_dart(tmp_path, dart.url)
    dart.requests.clear()
    download_dart(tmp_path, dart.url)
    assert dart.requests == []

    (tmp_path / FILE_NAMES["dev"]).write_bytes(b"[]")
    with pytest.raises(InputError, match="dev.json: its sha256 is"):
        download_dart(tmp_path, dart.url)


def test_a_connection_that_stays_broken_is_an_error_and_the_next_call_goes_on(dart, tmp_path):
    dart.break_after = [1_000, 1_000, 1_000]
    with pytest.raises(InputError, match="stopped after 3,000 bytes.*the same command goes on"):
        download_dart(tmp_path, dart.url)
    (part,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert part == tmp_path / ".partial" / (FILE_NAMES["train"] + ".part")

    download_dart(tmp_path, dart.url)
    assert dart.requests[3] == ("/" + FILE_NAMES["train"], "bytes=3000-")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


def test_a_wrong_checksum_is_an_error_and_leaves_nothing_under_the_files_name(dart, tmp_path):
    dart.files[FILE_NAMES["dev"]] = FILES[FILE_NAMES["dev"]].replace(b"x", b"y", 1)
    with pytest.raises(InputError, match="dev.json: its sha256 is [0-9a-f]{64}, the official file's is"):
        download_dart(tmp_path, dart.url)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / FILE_NAMES["train"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps([ENTRY] * 99).encode(), "train.json: 99 examples, DART's train split has 100"),
        (FILES[FILE_NAMES["train"]][:-500], "not valid JSON"),
    ],
)
def test_a_file_without_known_checksum_is_checked_by_its_content(dart, tmp_path, content, message):
    dart.files[FILE_NAMES["train"]] = content
    with pytest.raises(InputError, match=message):
        download_dart(tmp_path, dart.url)

    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_file_that_the_server_does_not_have_is_an_error_with_its_address(dart, tmp_path):
    del dart.files[FILE_NAMES["train"]]
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:\d+/dart-v1\.1\.1-full-train\.json: .* 404 Not Found"):
        download_dart(tmp_path, dart.url)
    assert len(dart.requests) == 1  # asking again would not help


def totto_zip(folder="totto_data", **more):
    cell = {"value": "x", "is_header": False, "column_span": 1, "row_span": 1}
    record = {
        "table": [[cell]], "highlighted_cells": [[0, 0]], "table_page_title": "P", "table_section_title": "S",
        "table_section_text": "", "table_webpage_url": "u", "example_id": 1, "overlap_subset": True,
        "sentence_annotations": [{"final_sentence": "X."}],
    }  # fmt: skip
    line = json.dumps(record).encode() + b"\n"
    return zipped({f"{folder}/totto_train_data.jsonl": line * 3, f"{folder}/totto_dev_data.jsonl": line * 2, **more})


@pytest.fixture
def totto(server, monkeypatch):
    server.files = {"totto_data.zip": totto_zip(**{"totto_data/unlabeled_totto_test_data.jsonl": b"{}"})}
    digest = hashlib.sha256(server.files["totto_data.zip"]).hexdigest()
    use(monkeypatch, "totto", counts={"train": 3, "dev": 2}, sha256={"totto_data.zip": digest})
    return server


def test_a_zip_is_checked_and_its_files_land_in_the_folder(totto, tmp_path):
    paths = download.download("totto", tmp_path, totto.url)

    assert paths == [tmp_path / "totto_train_data.jsonl", tmp_path / "totto_dev_data.jsonl"]
    assert len(list(get_task("totto", tmp_path).read("train"))) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "totto_dev_data.jsonl", "totto_train_data.jsonl", "unlabeled_totto_test_data.jsonl"
    ]  # fmt: skip
    totto.requests.clear()
    assert download.download("totto", tmp_path, totto.url) == paths and totto.requests == []


def test_a_broken_download_of_a_zip_is_resumed(totto, tmp_path):
    totto.break_after = [100, 100, 100]
    with pytest.raises(InputError, match="stopped after 300 bytes"):
        download.download("totto", tmp_path, totto.url)
    download.download("totto", tmp_path, totto.url)
    assert totto.requests[3] == ("/totto_data.zip", "bytes=300-")


def test_a_zip_with_another_checksum_is_not_unpacked(totto, tmp_path):
    totto.files["totto_data.zip"] = totto_zip(**{"totto_data/more.jsonl": b"{}"})
    with pytest.raises(InputError, match="totto_data.zip: its sha256 is"):
        download.download("totto", tmp_path, totto.url)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["../../evil.jsonl", "/tmp/evil.jsonl"])
def test_a_hostile_zip_is_refused_and_leaves_nothing(totto, tmp_path, monkeypatch, name):
    totto.files["totto_data.zip"] = totto_zip(**{name: b"{}"})
    use(monkeypatch, "totto", sha256={})
    with pytest.raises(InputError, match="refused: member .*evil.* would be written outside its folder"):
        download.download("totto", tmp_path / "a" / "b", totto.url)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_zip_with_other_numbers_of_examples_is_refused(totto, tmp_path, monkeypatch):
    use(monkeypatch, "totto", counts={"train": 4, "dev": 2})
    with pytest.raises(InputError, match="totto_train_data.jsonl: 3 examples, ToTTo's train split has 4"):
        download.download("totto", tmp_path, totto.url)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_mtop_follows_the_short_address_and_keeps_english(server, tmp_path, monkeypatch):
    parse = "[IN:GET_ALARM [SL:NAME wake up ] ]"
    row = ["1", "IN:GET_ALARM", "", "wake up", "alarm", "en_XX", parse, '{"tokens": ["wake", "up"]}']
    line = "\t".join(row).encode() + b"\n"
    members = {f"mtop/{place}/{name}.txt": line for place in ("en", "de") for name in ("train", "eval", "test")}
    server.files = {"mtop_dataset": b"to /real/mtop.zip", "real/mtop.zip": zipped(members)}
    use(
        monkeypatch, "mtop",
        urls={"mtop.zip": server.url + "mtop_dataset"}, counts=dict.fromkeys(("train", "dev", "test"), 1),
    )  # fmt: skip
    paths = download.download("mtop", tmp_path)

    assert paths == [tmp_path / "en" / f"{name}.txt" for name in ("train", "eval", "test")]
    assert [path.name for path in tmp_path.iterdir()] == ["en"]


def test_spider_is_fetched_by_hand_and_then_checked_and_unpacked(server, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="Google Drive.*spider.zip.*yale-lily.github.io/spider.*--base_url"):
        download.download("spider", tmp_path)
    (tmp_path / "spider.zip").write_bytes(zipped({"spider/dev.json": b"[]"}))
    with pytest.raises(InputError, match="spider.zip: its sha256 is [0-9a-f]{64}, the official file's is 5ddff97b"):
        download.download("spider", tmp_path)
    assert (tmp_path / "spider.zip").is_file()  # the user's own file is not removed


def test_spider_unpacks_its_questions_schemas_and_databases(server, tmp_path, monkeypatch):
    entry = {"db_id": "d", "table_names_original": ["T"], "column_names_original": [[-1, "*"], [0, "a"]]}
    entry |= {"foreign_keys": [], "primary_keys": [], "column_types": ["text", "text"]}
    question = json.dumps([{"question": "?", "query": "SELECT a FROM T", "db_id": "d"}]).encode()
    names = {"train_spider.json": question, "dev.json": question, "tables.json": json.dumps([entry]).encode()}
    names |= {"database/d/d.sqlite": b"SQLite", "evaluation/run.py": b"pass"}
    server.files = {"spider.zip": zipped({f"spider/{name}": content for name, content in names.items()})}
    use(monkeypatch, "spider", sha256={}, counts={"train": (1, 2), "dev": 1})
    download.download("spider", tmp_path, server.url)

    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(names) - {"evaluation/run.py"}


@whole_release("dart")
def test_the_checksum_we_know_is_that_of_the_official_dev_file():
    dev = FULL / "data" / "dart" / f"{FILE_NAMES['dev']}.gz"
    assert content_sha256(dev) == RELEASES["dart"].sha256[FILE_NAMES["dev"]]


@whole_release("dart", "logic2text")
def test_the_whole_releases_pass_the_checks(tmp_path):
    for name in ("dart", "logic2text"):
        for path in (FULL / "data" / name).glob("*.gz"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
        assert len(download.download(name, tmp_path / name, "http://127.0.0.1:1/")) == 3
    path = tmp_path / "logic2text" / "valid.json.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))
    with pytest.raises(InputError, match="valid.json.gz:.*not valid JSON"):
        download.download("logic2text", tmp_path / "logic2text", "http://127.0.0.1:1/")


def test_every_task_with_a_release_can_be_downloaded():
    assert set(RELEASES) == set(TASKS) - {"sample", "jsonl"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["drat"], "got 'drat'; did you mean 'dart'"), ([], "got 'nothing'; this command knows dart, logic2text")],
)
def test_the_command_says_what_it_can_fetch(arguments, message):
    with pytest.raises(InputError, match=message):
        download.main(["download", *arguments])
