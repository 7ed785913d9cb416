"""Relations and their phrases."""

import pytest

from ipt_jax.tasks.sample.domains import DOMAINS
from ipt_jax.tasks.sample.names import SUBJECTS


@pytest.mark.parametrize("kind", sorted(DOMAINS))
def test_phrases_are_two_and_have_a_place_for_the_object(kind):
    assert kind in SUBJECTS
    for item in DOMAINS[kind]:
        assert len(set(item.phrases)) == 2
        assert all(("{o}" in phrase) != ("{a}" in phrase) for phrase in item.phrases)
