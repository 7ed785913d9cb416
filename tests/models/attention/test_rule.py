"""The rules of attention's scores, each against what its paper says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import ELEMENTARY, close

from ipt_jax.models.attention.rule import MASKED, ScoreRule, alibi_slopes, behind


@pytest.mark.parametrize("heads", [1, 2, 4, 6, 12, 14, 20, 25, 112])
def test_alibi_slopes_fill_a_power_of_two_up_from_twice_that_power(heads):
    slopes, power = alibi_slopes(heads), 2 ** int(np.log2(heads))
    own, added = -8 * np.arange(1, power + 1) / power, -4 * np.arange(1, 2 * (heads - power), 2) / power
    expected = 2.0 ** np.concatenate([own, added])
    close(slopes, expected, ELEMENTARY, scale=expected)
    assert len(set(slopes.tolist())) == heads


def scored(rule, distances, seen=True):
    """Scores of products of 1, for distances given as a list: one head."""
    distances = jnp.array(distances)[None, None, None]
    return np.asarray(rule.apply(jnp.ones(distances.shape), distances, jnp.full(distances.shape, seen)))[0, 0, 0]


def test_a_window_sees_itself_and_what_is_nearer_than_its_width():
    assert (scored(ScoreRule(1.0, window=3), [3, 2, 1, 0]) > MASKED).tolist() == [False, True, True, True]


def test_scores_are_capped_before_slopes_are_taken_off():
    slopes = np.array([0.5], np.float32)
    expected = 2 * np.tanh(4 / 2) - 0.5 * np.array([0, 3])
    close(scored(ScoreRule(4.0, softcap=2.0, slopes=slopes), [0, 3]), expected, ELEMENTARY)


def test_what_a_query_may_not_see_is_masked_whatever_the_window():
    assert (scored(ScoreRule(1.0, window=9), [0, 1], seen=False) == MASKED).all()


def test_a_row_that_sees_nothing_stays_finite():
    scores = scored(ScoreRule(1.0), [0, 1], seen=False)
    assert np.isfinite(np.asarray(jax.nn.softmax(scores))).all()


def test_keys_before_the_rows_are_put_before_each_of_those_that_share_them():
    """A batch is I groups of rows of which every J-th has the same keys before it."""
    outer, inner, rows = 2, 3, 2
    shared = jnp.arange(outer * inner).reshape(outer, inner, 1, 1, 1) * 10.0
    own = jnp.arange(outer * rows * inner).reshape(-1, 1, 1, 1) * 1.0
    keys, values = behind((shared, -shared), own, -own)
    for place in range(outer * rows * inner):
        group, member = place // (rows * inner), place % inner
        assert keys[place, :, 0, 0].tolist() == [10.0 * (group * inner + member), float(place)]
    assert (values == -keys).all()
