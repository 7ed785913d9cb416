"""What a run learns from, and what its evaluated examples share with the training examples that it has seen."""

import json
from pathlib import Path

import pytest
from tiny import write_hf_folder

from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment import resolve
from ipt_jax.plan import preparers
from ipt_jax.preparation import overlap_of, rows_of

TEN = "one two three four five six seven eight nine ten"
TRAIN = [TEN, "a b", "c d", "e f"]
TEST = ["a b", f"{TEN} {TEN} eleven", "x y"]


@pytest.fixture
def prepared(tmp_path):
    """Name of a run → its preparer and the run, on a task of four training and three test examples."""
    for split, texts in (("train", TRAIN), ("dev", TEST), ("test", TEST)):
        lines = [json.dumps({"id": f"{split}:{i}", "input": text, "target": "t"}) for i, text in enumerate(texts)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    config = common.get_config()
    config.task.name, config.task.data_dir = "jsonl", str(tmp_path)
    config.model.source = str(write_hf_folder(tmp_path / "lm"))
    config.execution.cache_dir = str(Path(tmp_path) / "cache")
    prompt = {"layout": {"prompt_tokens": 2}}
    loaded = {**prompt, "prompt": {"initialisation": "file", "source": "run:pt"}, "training": {"steps": 0}}
    config.runs = {
        "zero_shot": {},
        "icl": {"layout": {"demonstrations": 1, "retriever": "random"}},
        "one": {"layout": {"demonstrations": 1, "retriever": "random"}, "limit": {"train": 1}},
        "pt": prompt,
        "without_end": {"layout": {"prompt_tokens": 2, "end_token": False}},
        "loaded": loaded,
    }
    preparer_of = preparers(config)
    return {run.name: (preparer_of(run.settings), run) for run in resolve(config)}


@pytest.fixture
def overlaps(prepared):
    return {name: overlap_of(*of_run) for name, of_run in prepared.items()}


def test_what_is_learned_ends_with_the_end_token_unless_the_run_says_otherwise(prepared):
    preparer, run = prepared["pt"]
    with_end = rows_of(preparer, run, "train", with_target=True).rows
    without = rows_of(preparer, prepared["without_end"][1], "train", with_target=True).rows
    assert len(with_end) == len(without) == len(TRAIN)
    for longer, shorter in zip(with_end, without, strict=True):
        assert longer.tokens == (*shorter.tokens, preparer.lm.tokenizer.eos_ids[0])
        assert longer.source_length == shorter.source_length < len(shorter.tokens)


def test_overlap_is_counted_with_the_training_examples_that_a_run_or_its_prompt_has_seen(overlaps):
    counts = {"same_input": 1, "near_duplicate": 1, "examples": 3}
    assert overlaps["icl"] == overlaps["pt"] == overlaps["loaded"] == counts
    assert overlaps["one"]["same_input"] + overlaps["one"]["near_duplicate"] <= 1


def test_a_run_that_sees_no_training_example_overlaps_with_none(overlaps):
    assert overlaps["zero_shot"] is None


def test_splits_that_no_run_reads_may_be_missing_and_ids_do_not_depend_on_whether_others_read_them(tmp_path):
    config = common.get_config()
    config.task.name, config.task.data_dir = "jsonl", str(tmp_path)
    config.model.source = "anything"
    row = json.dumps({"input": "a", "target": "b"})
    (tmp_path / "test.jsonl").write_text(row)
    assert len(resolve(config)) == 1
    config.runs = {"zero_shot": {}, "icl": {"layout": {"demonstrations": 1}}}
    with pytest.raises(InputError, match=r"train\.jsonl .*not in"):
        resolve(config)
    (tmp_path / "train.jsonl").write_text(row)
    (tmp_path / "dev.jsonl").write_text(row)
    both = resolve(config)
    assert both[0].data_hash == both[1].data_hash
