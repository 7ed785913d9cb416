"""Makes the golden trajectories of training. Run it from the repository's root:

    PYTHONPATH=. python tests/make_golden_trajectories.py

Writes `tests/golden/trajectories.npz`: losses and prompts of every case of `trajectory`, and what identifies the
weights. Make it anew only where training is meant to change; `python -m benchmarks.trajectories COMMIT` says by how
much it has.
"""

import numpy as np
import trajectory
from paths import GOLDEN

if __name__ == "__main__":
    weights = {f"{family} weights": np.array(text) for family, text in trajectory.fingerprints().items()}
    path = GOLDEN / "trajectories.npz"
    np.savez_compressed(path, **trajectory.all_trajectories(), **weights)
