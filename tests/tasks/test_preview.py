"""The preview: the exact input of an experiment, with its demonstrations and counts."""

import itertools

import pytest
from commands import call
from paths import ROOT
from tiny import tiny_lm

from ipt_jax.retrieval import Retrieval
from ipt_jax.rows.layout import Layout
from ipt_jax.rows.preparation import Preparer
from ipt_jax.tasks.preview import preview
from ipt_jax.tasks.sample.task import Sample
from ipt_jax.workdir.json_files import read_rows


class Few(Sample):
    """The sample's first examples: dense retrieval embeds the whole of the training split."""

    def read(self, split):
        return itertools.islice(super().read(split), 40)


@pytest.fixture(scope="module")
def lm():
    return tiny_lm()


def experiment_rows(lm, folder, retriever, budget=None):
    budget = lm.decoder.config.max_positions - 64 if budget is None else budget
    return Preparer(lm, Few(), folder).rows("dev", 3, layout_with(retriever), budget=budget, with_target=False)


def layout_with(retriever):
    shown = Retrieval(retriever, 2, seed=3 if retriever == "random" else None)
    return Layout(overflow="truncate", retrieval=shown)


@pytest.mark.parametrize("retriever", ["random", "bm25", "dense"])
def test_it_shows_the_inputs_of_the_experiment_and_counts_their_tokens(lm, tmp_path, retriever):
    prepared = experiment_rows(lm, tmp_path / "a", retriever)
    texts = list(preview(Preparer(lm, Few(), tmp_path / "b"), "dev", 3, layout_with(retriever)))

    assert len(texts) == 3
    for text, row, example in zip(texts, prepared.rows, prepared.examples, strict=True):
        head, _, body = text.partition("\n")
        assert body == f"{row.source}⟦ {example['target']}\n⟧\n"
        assert f"sample {example['id']}" in head and f" {row.source_length:,} tokens of input" in head
        assert all(demonstration.id in head for demonstration in row.demonstrations)
        assert ("similarity" in head) == (retriever != "random" and bool(row.demonstrations))


def test_what_does_not_fit_is_dropped_as_in_the_experiment_and_said(lm, tmp_path):
    room = lm.decoder.config.max_positions - 40
    (row, *_) = experiment_rows(lm, tmp_path, "random", budget=40).rows
    (text, *_) = preview(Preparer(lm, Few(), tmp_path), "dev", 3, layout_with("random"), room - 4, max_new_tokens=4)
    assert row.dropped == 2
    assert "2 demonstrations did not fit" in text and f"{room - 4} prompt rows" in text


def test_the_command_prints_n_examples(tmp_path):
    done = call("ipt_jax.tasks.preview", "sample", "--split=dev", "-n", "2", "--demonstrations=1", "--retriever=random")
    assert done.returncode == 0
    assert done.stdout.count("=== sample dev:") == 2 and done.stdout.count("Output:") == 4


def test_a_missing_file_is_told_in_one_line():
    done = call("ipt_jax.tasks.preview", "dart", "--data_dir=nowhere")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "config.task.data_dir" in done.stderr


def test_the_rows_of_a_run_are_the_very_ones_that_it_was_made_with(finished, lm_folder, cache):
    flags = [f"--config={ROOT}/tests/helpers/small_config.py", f"--config.model.source={lm_folder}"]
    flags += [f"--config.execution.cache_dir={cache}", "-n", "10"]
    for name, method in [("icl_retrieved_three_shot", "ICL, retrieved three-shot"), ("ipt", "IPT")]:
        done = call("ipt_jax.tasks.preview", *flags, f"--run={name}")
        assert done.returncode == 0, done.stderr
        row = next(row for row in read_rows(finished / "results.jsonl") if row["method"] == method)
        predictions = read_rows(finished / "runs" / row["run"] / "predictions.jsonl")
        assert len(predictions) == done.stdout.count("=== ") == 10
        for prediction in predictions:
            assert f"\n{prediction['input']}⟦" in done.stdout and f"=== sample {prediction['id']} · " in done.stdout
        assert method in done.stdout and ("3 prompt rows" in done.stdout) == (name == "ipt")


def test_what_a_run_learns_from_is_shown_too_and_what_is_no_run_is_refused(lm_folder, cache):
    flags = [f"--config={ROOT}/tests/helpers/small_config.py", f"--config.model.source={lm_folder}"]
    flags += [f"--config.execution.cache_dir={cache}"]
    done = call("ipt_jax.tasks.preview", *flags, "--run=pt", "--split=train", "-n", "2")
    assert done.returncode == 0 and done.stdout.count("=== sample train:") == 2, done.stderr
    for more, message in [
        (["--run=ptt"], "--run=ptt: the experiment has no such run; did you mean 'pt'?"),
        (["--run=zero_shot", "--split=train"], "run 'zero_shot' reads test alone"),
        (["dart"], "'dart' beside --config"),
    ]:
        done = call("ipt_jax.tasks.preview", *flags, *more)
        assert done.returncode == 2 and message in done.stderr
    assert "give --config" in call("ipt_jax.tasks.preview", "--run=pt").stderr
