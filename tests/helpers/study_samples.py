"""An invented study: three tasks, prompt lengths, prompts on other tasks; as a command it writes its report.

python tests/helpers/study_samples.py FOLDER
"""

import random
import sys
from pathlib import Path

from ipt_jax.workdir.json_files import append_rows, write_json
from ipt_jax.workdir.names import method_label, run_id
from ipt_jax.workdir.run_folder import RunFolder

TASKS = ("dart", "logic2text", "mtop")
ICL, PT, IPT = (0, 1, "dense"), (25, 0, None), (25, 1, "dense")


def make_study(workdir: Path, *, examples: int = 50, seeds: int = 7, gain: float = 30.0) -> Path:
    """Writes finished runs. IPT gains `gain` points on PT at similarity 1 and loses as many at similarity 0.

    PT has a deviation between seeds that grows with its rows, IPT has none. A prompt of another task beats ICL by 20
    points, except on mtop, where it loses them.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "config.json", {"name": "study"})
    studies = {task: _Task(workdir, task, examples) for task in TASKS}
    tuned = {}  # (task, seed) → the run of PT whose prompt others take
    for task, study in studies.items():
        study.add((0, 1, "random"), 20.0)
        study.add(ICL, 40.0)
        for rows in (5, 25, 100) if task == "dart" else (25,):
            for seed in range(seeds):
                wobble = (seed - (seeds - 1) / 2) * rows / 10
                run = study.add((rows, 0, None), 50.0 + wobble, seed=seed)
                if rows == PT[0]:
                    tuned[task, seed] = run
                study.add((rows, 1, "dense"), 50.0 + 0.01 * wobble, seed=seed, slope=2 * gain)
    for task, study in studies.items():
        for source in TASKS:
            for seed in range(seeds):
                better = 0.0 if source == task else -20.0 if task == "mtop" else 20.0
                study.add(IPT, 40.0 + better, seed=seed, source=source, of=tuned[source, seed])
    return workdir


class _Task:
    def __init__(self, workdir: Path, name: str, examples: int):
        self.workdir, self.name = workdir, name
        draw = random.Random(name)
        self.similarities = [draw.random() for _ in range(examples)]
        self.noise = [draw.uniform(-5, 5) for _ in range(examples)]

    def add(self, layout, score, *, seed=0, slope=0.0, source=None, of=""):
        """One run, whose examples score about `score`, more where the demonstration is more similar; its id.

        Args:
          source, of: the task and the run that a prompt comes from.
        """
        rows, shown, retriever = layout
        settings = {"prompt_tokens": rows, "demonstrations": shown, "retriever": retriever, "selection": "nearest"}
        steps = 0 if source or not rows else 100
        config = {"task": {"name": self.name}, "layout": settings, "seed": seed, "training": {"steps": steps}}
        config["prompt"] = {"source": f"run:{source}"} if source else None
        folder = RunFolder(self.workdir, run_id(config))
        folder.path.mkdir(parents=True)
        write_json(folder.run_json, config)
        near = [s if retriever == "dense" else None for s in self.similarities]
        scores = [score + noise + slope * ((s or 0.5) - 0.5) for noise, s in zip(self.noise, near, strict=True)]
        demonstrations = [[{"id": "train:1", "similarity": s}] if shown else [] for s in near]
        append_rows(
            folder.predictions,
            [
                {"id": f"test:{i}", "input": f"Input: {i}", "demonstrations": d, "prediction": "a", "score": s}
                | {"references": ["a b"], "stop": "eos", "log_probability": -1.0}
                for i, (s, d) in enumerate(zip(scores, demonstrations, strict=True))
            ],
        )
        label = f"PT of {source}" if source and source != self.name else source and "PT"
        folder.finish(
            {
                "run": folder.run_id,
                **{"task": self.name, "task_title": self.name.upper(), "split": "test", "model": "tiny"},
                **{"method": method_label(rows, shown, retriever, steps, label), "seed": seed, "dtype": "float32"},
                **{"prompt_tokens": rows, "demonstrations": shown, "retriever": retriever, "layout": settings},
                **{"metric": "points", "score": sum(scores) / len(scores), "examples": len(scores)},
                "prompt_source": {"run": of, "task": source, "method": "PT"} if source else None,
                "training": {"steps": steps, "learning_rate": 1e-3} if steps else None,
            }
        )
        return folder.run_id


if __name__ == "__main__":
    from ipt_jax.report import render

    print(render([make_study(Path(sys.argv[1]))]))
