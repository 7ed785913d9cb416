"""Unpacking zips that somebody else made: what is refused, what lands where."""

import stat
import struct
import zipfile

import pytest

from ipt_jax.errors import InputError
from ipt_jax.tasks.downloading.archives import extract

LIMIT = 1_000_000


def write_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    """`members`: name (or ZipInfo) → bytes, in order; names may repeat in a list of pairs."""
    with zipfile.ZipFile(path, "w", compression) as opened:
        for name, data in members.items() if isinstance(members, dict) else members:
            opened.writestr(name, data)
    return path


def special(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_come_out_without_the_folder_that_all_lie_in(tmp_path):
    members = {"release/": b"", "release/a.json": b"[]", "release/db/x/x.sqlite": b"\0\1", "__MACOSX/release/._a": b"?"}
    archive = write_zip(tmp_path / "a.zip", {**members, "release/.DS_Store": b"?"})
    paths = extract(archive, tmp_path / "out", max_bytes=LIMIT)

    assert files(tmp_path / "out") == {"a.json": b"[]", "db/x/x.sqlite": b"\0\1"}
    assert paths == [tmp_path / "out" / "a.json", tmp_path / "out" / "db" / "x" / "x.sqlite"]


def test_files_of_several_folders_or_none_stay_where_they_are(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"a/x": b"1", "b/x": b"2"})
    extract(archive, tmp_path / "two", max_bytes=LIMIT)
    assert files(tmp_path / "two") == {"a/x": b"1", "b/x": b"2"}
    archive = write_zip(tmp_path / "b.zip", {"x": b"1", "a/y": b"2"})
    extract(archive, tmp_path / "none", max_bytes=LIMIT)
    assert files(tmp_path / "none") == {"x": b"1", "a/y": b"2"}


def test_only_what_is_wanted_is_written(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"m/en/train.txt": b"1", "m/de/train.txt": b"2", "m/en/notes.md": b"3"})
    extract(archive, tmp_path / "out", max_bytes=LIMIT, wanted=("en/*.txt",))
    assert files(tmp_path / "out") == {"en/train.txt": b"1"}


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../evil", "outside its folder"),
        ("release/../../evil", "outside its folder"),
        ("/tmp/evil", "outside its folder"),
        ("release\\..\\evil", "outside its folder"),
        ("C:/evil", "outside its folder"),
        (special("release/link", stat.S_IFLNK | 0o777), "a link or a special file"),
        (special("release/pipe", stat.S_IFIFO | 0o644), "a link or a special file"),
        ("release/good.json", "there twice"),
        ("release/./good.json", "there twice"),
        ("release/good.json/inside", "lies in another file"),
        (special("release/odd", stat.S_IFDIR | 0o755), "is no file"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_member_is_refused_before_anything_is_written(tmp_path, member, reason):
    archive = write_zip(tmp_path / "a.zip", [("release/good.json", b"[]"), (member, b"/etc/passwd")])
    with pytest.raises(InputError, match=rf"a\.zip: refused: member .*{reason}"):
        extract(archive, tmp_path / "out" / "deep", max_bytes=LIMIT)

    assert files(tmp_path) == {"a.zip": archive.read_bytes()}
    assert not (tmp_path / "out" / "deep").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    archive = write_zip(tmp_path / "bomb.zip", {"x": b"\0" * 2_000_000})
    assert archive.stat().st_size < 10_000
    with pytest.raises(InputError, match="it unpacks to 2,000,000 bytes, more than 1,000,000"):
        extract(archive, tmp_path / "out", max_bytes=LIMIT)


def test_a_member_that_is_longer_than_it_says_writes_no_more_than_that(tmp_path):
    archive = write_zip(tmp_path / "liar.zip", {"x": b"\0" * 2_000_000})
    data = archive.read_bytes()
    # The size stands in the local header and in the directory at the end.
    archive.write_bytes(data.replace(struct.pack("<I", 2_000_000), struct.pack("<I", 10)))
    with pytest.raises(InputError, match=r"liar\.zip: (not a complete zip|refused)"):
        extract(archive, tmp_path / "out", max_bytes=LIMIT)
    assert not (tmp_path / "out").exists()


def test_too_many_members_are_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {str(n): b"" for n in range(10_001)})
    with pytest.raises(InputError, match="10,001 members"):
        extract(archive, tmp_path / "out", max_bytes=LIMIT)


def test_an_encrypted_member_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"x": b"secret"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(InputError, match="member 'x' is encrypted"):
        extract(archive, tmp_path / "out", max_bytes=LIMIT)


@pytest.mark.parametrize("cut", [10, 100, 5_000])
def test_a_damaged_or_incomplete_archive_is_an_error_and_leaves_nothing(tmp_path, cut):
    archive = write_zip(tmp_path / "a.zip", {"x": bytes(range(256)) * 100}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes()[:-cut])
    with pytest.raises(InputError, match="not a complete zip archive"):
        extract(archive, tmp_path / "out", max_bytes=LIMIT)
    assert not (tmp_path / "out").exists()


def test_a_changed_byte_is_found_by_the_archives_own_checksum(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"x": b"a" * 1_000}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"aaaa", b"abaa", 1))
    with pytest.raises(InputError, match="not a complete zip archive .*CRC"):
        extract(archive, tmp_path / "out", max_bytes=LIMIT)
