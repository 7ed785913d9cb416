"""The synthetic sample: reproducible, well formed, and a fair test bed."""

import re

import pytest

from ipt_jax.errors import InputError
from ipt_jax.tasks.base import SPLITS
from ipt_jax.tasks.sample.domains import DOMAINS
from ipt_jax.tasks.sample.make import SIZES, write_sample
from ipt_jax.tasks.sample.task import Sample


@pytest.fixture(scope="module")
def examples():
    return {split: list(Sample().read(split)) for split in SPLITS}


def triples(example):
    return [tuple(triple.split(" : ")) for triple in example.input.split(" | ")]


def relation(kind, name):
    return next(relation for relation in DOMAINS[kind] if relation.name == name)


def test_sizes_and_numbers_of_references_are_as_described(examples):
    assert {split: len(rows) for split, rows in examples.items()} == SIZES == {"train": 1_000, "dev": 100, "test": 100}
    assert {len(row.references) for row in examples["train"]} == {1}
    for split in ("dev", "test"):
        assert {len(row.references) for row in examples[split]} == {2, 4}
        assert all(len(set(row.references)) == len(row.references) for row in examples[split])


def test_inputs_are_distinct_and_short(examples):
    train = [row.input for row in examples["train"]]
    assert len({frozenset(triples(row)) for row in examples["train"]}) == len(train)
    assert sum(map(len, train)) / len(train) < 50


def test_relations_are_several_of_each_kind_and_each_test_relation_is_in_training(examples):
    seen = {split: {triple[1] for row in rows for triple in triples(row)} for split, rows in examples.items()}
    names = {relation.name for relations in DOMAINS.values() for relation in relations}

    assert len(DOMAINS) == 6 and {len(relations) for relations in DOMAINS.values()} == {4}
    assert seen["train"] == names
    assert seen["dev"] | seen["test"] <= seen["train"]


def test_most_test_entities_are_not_in_training(examples):
    entities = {split: {triple[0] for row in rows for triple in triples(row)} for split, rows in examples.items()}

    assert len(entities["test"] & entities["train"]) < 0.5 * len(entities["test"])


def test_every_text_is_one_sentence_that_names_all_its_subjects(examples):
    for row in (row for rows in examples.values() for row in rows):
        for text in row.references:
            assert text[0].isupper() and text.endswith(".") and not re.search(r"[{}]|\s\s|,,| ,", text), text
            assert all(subject in text for subject, _, _ in triples(row)), (row.input, text)


def test_the_house_writes_numbers_and_units_in_its_own_way(examples):
    pairs = [(row.input, row.target) for row in examples["train"]]
    with_units = [(source, text) for source, text in pairs if re.search(r"\d (km|min|USD)", source)]

    assert len(with_units) > 50
    assert all(re.search(r" (kilometres|minutes|dollars)", text) for _, text in with_units)
    assert not any(re.search(r"\d (km|min)\b|USD|\b([2-9]|1[012])\b", text) for _, text in pairs)


def test_the_usual_phrase_of_a_relation_is_the_one_that_most_texts_have(examples):
    usual, rare = relation("person", "home").phrases
    texts = [row.target for row in examples["train"] if {"home"} & {name for _, name, _ in triples(row)}]
    assert len(texts) > 20
    assert 0.7 * len(texts) < sum(usual.format(o="") in text for text in texts) < len(texts)
    for split in ("dev", "test"):
        for row in examples[split]:
            assert row.target == row.references[0] and rare.format(o="") not in row.target


def test_other_files_of_the_generator_are_read_from_data_dir(tmp_path, examples):
    write_sample(tmp_path)
    assert list(Sample(tmp_path).read("test")) == examples["test"]


def test_a_missing_file_is_an_error_that_says_how_to_get_it(tmp_path):
    with pytest.raises(InputError, match="dev.json.gz of the synthetic sample.*unset config.task.data_dir"):
        Sample(tmp_path).files("dev")
