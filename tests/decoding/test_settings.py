"""The settings of a search: what is refused, and that nothing of JAX is needed to say so."""

import dataclasses

import pytest

from ipt_jax.decoding.settings import Search
from ipt_jax.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0 must be at least 1"),
        ({"num_beams": 0}, "num_beams=0 must be at least 1"),
        ({"min_new_tokens": 65}, "min_new_tokens=65 passes max_new_tokens=64"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size=-1 must be at least 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty=0.0 must be positive"),
        ({"temperature": 0.0}, "temperature=0.0 must be positive"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0"),
        ({"top_p": 1.5}, "top_p=1.5 must be above 0 and at most 1"),
        ({"early_stopping": "late"}, "early_stopping='late' is unknown; choose one of False, True, never"),
        ({"stop": "\n"}, "stop='\\\\n' must be a tuple"),
        ({"stop": ("",)}, "none of them empty"),
        ({"do_sample": True, "num_beams": 2}, "num_beams=2 must be 1 where do_sample is True"),
        ({"num_return_sequences": 2}, "num_return_sequences=2 passes num_beams=1; greedy search has one answer"),
        ({"num_return_sequences": 5, "num_beams": 4}, "num_return_sequences=5 passes num_beams=4"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_value(settings, message):
    with pytest.raises(InputError, match=message):
        Search(**settings)


def test_one_end_token_several_or_none_may_be_given():
    assert [Search(eos_token_id=given).eos_token_id for given in (7, [7, 9], (), None)] == [(7,), (7, 9), None, None]


def test_every_setting_is_a_leaf_of_the_config_with_the_same_default_but_the_number_of_answers():
    from ipt_jax.configs import common

    leaves = common.get_config().decoding.to_dict()
    fields = {field.name: field.default for field in dataclasses.fields(Search)}
    assert fields.pop("num_return_sequences") == 1
    assert leaves.keys() == fields.keys() and Search(**leaves) == Search()
