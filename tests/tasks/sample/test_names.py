"""Names of the sample's subjects: made of their lists, and with an article where a sentence wants one."""

import random

import pytest

from ipt_jax.tasks.sample import names


@pytest.mark.parametrize("kind", names.SUBJECTS)
def test_a_name_belongs_to_the_draw_and_has_a_capital(kind):
    made = [names.SUBJECTS[kind](random.Random(seed)) for seed in range(20)]
    assert made == [names.SUBJECTS[kind](random.Random(seed)) for seed in range(20)]
    assert len(set(made)) > 10
    assert all(name[0].isupper() and name == name.strip() for name in made)


def test_a_person_has_two_names_and_a_river_is_called_one():
    assert len(names.person(random.Random(0)).split()) == 2
    assert names.river(random.Random(0)).endswith(" River")


def test_only_rivers_and_the_like_have_an_article_in_a_sentence():
    assert names.in_sentence("person", "Ann Lee") == "Ann Lee"
    assert names.in_sentence("river", "Milo River") == "the Milo River"


def test_words_are_cut_at_blanks():
    assert names.words(" a  b\nc ") == ("a", "b", "c")
