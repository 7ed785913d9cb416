"""The generator of the sample: the same files again, sentences with all their facts."""

import gzip

import pytest

from ipt_jax.tasks.base import SPLITS
from ipt_jax.tasks.sample.domains import DOMAINS
from ipt_jax.tasks.sample.make import Entry, Fact, realise, write_sample
from ipt_jax.tasks.sample.task import SAMPLE_DATA, Sample
from ipt_jax.tasks.sample.values import Value


@pytest.fixture(scope="module")
def examples():
    return {split: list(Sample().read(split)) for split in SPLITS}


def triples(example):
    return [tuple(triple.split(" : ")) for triple in example.input.split(" | ")]


def relation(kind, name):
    return next(relation for relation in DOMAINS[kind] if relation.name == name)


def test_writing_the_files_again_gives_the_shipped_ones(tmp_path):
    first, second = write_sample(tmp_path / "first"), write_sample(tmp_path / "second")

    for path, again in zip(first, second, strict=True):
        assert path.read_bytes() == again.read_bytes()
        # Another zlib may pack the same text into other bytes, so the shipped file is compared unpacked.
        assert gzip.decompress(path.read_bytes()) == gzip.decompress((SAMPLE_DATA / path.name).read_bytes())


def test_the_gzip_headers_hold_no_time(tmp_path):
    for path in [SAMPLE_DATA / f"{split}.json.gz" for split in SPLITS]:
        assert path.read_bytes()[4:8] == bytes(4)


def test_a_sentence_says_all_facts_with_the_phrases_that_are_wanted():
    singer = Fact(relation("person", "job"), Value("singer", "singer"))
    home = Fact(relation("person", "home"), Value("Calham", "Calham"))
    entry = Entry("Ada Bell", "person", (singer, home))

    assert entry.triples() == [["Ada Bell", "job", "singer"], ["Ada Bell", "home", "Calham"]]
    assert realise(entry, [0, 0]) == "Ada Bell is a singer and hails from Calham."
    assert realise(entry, [1, 1]) == "Ada Bell works as a singer and has roots in Calham."


def test_a_subject_with_an_article_begins_its_sentence_with_a_capital():
    owner = Fact(relation("inn", "owner"), Value("Ada Bell", "Ada Bell"))
    assert realise(Entry("Red Lion Inn", "inn", (owner,)), [0]) == "The Red Lion Inn is owned by Ada Bell."


def test_the_facts_stand_in_house_order_whatever_the_order_of_the_triples(examples):
    both = [triples(row) for row in examples["train"] if {"owner", "town"} == {name for _, name, _ in triples(row)}]
    assert {tuple(name for _, name, _ in pair) for pair in both} == {("owner", "town"), ("town", "owner")}

    for row in examples["train"]:
        by_relation = {name: value for _, name, value in triples(row)}
        if by_relation.keys() == {"owner", "town"}:
            assert row.target.index(by_relation["owner"]) < row.target.index(by_relation["town"])
