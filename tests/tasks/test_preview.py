"""The preview: the exact input of an experiment, with its demonstrations and counts."""

import itertools

import pytest
from commands import call
from tiny import tiny_lm

from ipt_jax.retrieval import Retrieval
from ipt_jax.rows.layout import Layout
from ipt_jax.rows.preparation import Preparer
from ipt_jax.tasks.preview import preview
from ipt_jax.tasks.sample.task import Sample


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
