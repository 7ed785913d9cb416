"""Training against the committed golden trajectories."""

import numpy as np
import pytest
import trajectory
from paths import GOLDEN
from tolerances import TRAJECTORY, TRAJECTORY_PROMPT, close

from benchmarks.trajectories import differences

ADVICE = "NumPy draws other weights than it did: make tests/golden/trajectories.npz anew with the code of before"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "trajectories.npz") as file:
        return dict(file)


# A population of one is another program, and what it does is the first member's in the golden numbers of three.
@pytest.mark.parametrize(
    ("family", "members"),
    [
        *((family, 3) for family in trajectory.FAMILIES),
        ("llama", 1),
        *(pytest.param(family, 1, marks=pytest.mark.slow) for family in ("gpt2", "bloom")),
    ],
)
def test_twenty_steps_give_the_losses_and_the_prompts_that_they_always_gave(golden, family, members):
    assert trajectory.fingerprints()[family] == str(golden[f"{family} weights"]), ADVICE
    for method in trajectory.METHODS:  # one program: its rows are no longer
        found = trajectory.trajectory(family, method, members)
        case = f"{family} {method} {members}"
        close(found["losses"], golden[f"{case} losses"], TRAJECTORY)
        close(found["prompts"], golden[f"{case} prompts"], TRAJECTORY_PROMPT)


def test_the_golden_prompts_have_learned_and_members_are_not_alike(golden):
    for family in trajectory.FAMILIES:
        for method in trajectory.METHODS:
            losses = golden[f"{family} {method} 3 losses"]
            assert losses.shape == (trajectory.STEPS, 3) and (losses[-5:, 0].mean() < losses[:5, 0].mean() - 0.1).all()
            prompts = golden[f"{family} {method} 3 prompts"]
            assert min(np.abs(prompts[i] - prompts[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))) > 0.1
            close(golden[f"{family} {method} 1 losses"][:, 0], losses[:, 0], TRAJECTORY)


def test_every_batch_of_a_trajectory_has_a_longest_row_so_that_all_have_one_shape():
    for method in trajectory.METHODS:
        rows = trajectory.rows_of(method)
        lengths = np.array([len(row.tokens) for row in rows])
        targets = lengths - [row.source_length for row in rows]
        assert (lengths[: trajectory.LONG_ROWS] == trajectory.LONGEST).all() and lengths.max() == trajectory.LONGEST
        assert targets.max() == targets[: trajectory.LONG_ROWS].min() == trajectory.MOST_TARGETS
        assert len(set(lengths)) > 5
    chosen = trajectory.batches_of(3)
    assert (chosen[..., 0] < trajectory.LONG_ROWS).all() and (trajectory.batches_of(1) == chosen[:, :1]).all()


def test_differences_are_relative_to_the_largest_number_of_the_first():
    one = {"gpt2 PT 1 losses": np.array([4.0, -2.0]), "gpt2 PT 1 prompts": np.array([1.0])}
    other = {"gpt2 PT 1 losses": np.array([4.0, -1.0]), "gpt2 PT 1 prompts": np.array([1.5])}
    assert differences(one, other) == {"gpt2 PT 1": {"losses": 0.25, "prompts": 0.5}}
