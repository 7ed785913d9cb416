"""MTOP: released text and its JSON Lines copies, tokens, ids, counts, errors and scores."""

import gzip
import json

import pytest
from absl import logging
from official import committed, goldens, read_lines

from ipt_jax.errors import InputError
from ipt_jax.tasks import mtop
from ipt_jax.tasks.base import Example
from ipt_jax.tasks.mtop import Mtop, tokenise
from ipt_jax.tasks.mtop_intents import INTENT_LIST
from ipt_jax.tasks.scores import example_headline, headline, score

PARSES = ["[IN:CREATE_ALARM [SL:DATE_TIME at 6 am ] ]", "[IN:GET_ALARM ]"]
UTTERANCES = ["Alarm at 6am!", "What's on?"]
TOKENS = [["Alarm", "at", "6", "am", "!"], ["What", "'s", "on", "?"]]


def tokens_column(tokens):
    return json.dumps({"tokens": tokens, "tokenSpans": []}, separators=(",", ":"))


def text_row(utterance, parse, column):
    return "\t".join(["7", "IN:X", "0:1:SL:Y", utterance, "alarm", "en_XX", parse, column])


RELEASED = "".join(
    text_row(utterance, parse, tokens_column(tokens)) + "\n"
    for utterance, parse, tokens in zip(UTTERANCES, PARSES, TOKENS, strict=True)
)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def json_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize("name", ["eval.txt", "eval.txt.gz", "en/eval.txt", "mtop/en/eval.txt"])
def test_released_text_is_read_wherever_the_archive_was_unpacked(tmp_path, name):
    write(tmp_path / name, RELEASED)

    assert list(Mtop(tmp_path).read("dev")) == [
        Example("dev:0", "Alarm at 6 am !", PARSES[0], (PARSES[0],)),
        Example("dev:1", "What 's on ?", PARSES[1], (PARSES[1],)),
    ]


def test_the_intent_list_follows_when_asked_for(tmp_path):
    write(tmp_path / "train.txt", RELEASED)
    task = Mtop(tmp_path, intent_list=True)

    first = next(task.read("train"))
    assert first.input == f"Alarm at 6 am ! {INTENT_LIST}"
    assert (task.options, Mtop(tmp_path).options) == ({"intent_list": True}, {"intent_list": False})


def test_json_lines_take_the_released_tokens_or_tokenise(tmp_path):
    with_tokens = {"question": "a b", "logical_form": PARSES[0], "tokenized_question": tokens_column(["a", "-", "b"])}
    without = {"question": UTTERANCES[0], "logical_form": PARSES[0]}
    write(tmp_path / "en_train.jsonl.gz", json_lines(with_tokens, without))

    assert [(e.id, e.input) for e in Mtop(tmp_path).read("train")] == [
        ("train:0", "a - b"),
        ("train:1", "Alarm at 6 am !"),
    ]


def test_the_parts_of_the_test_split_are_joined_and_tokenised_questions_stay(tmp_path):
    record = {"question": "what 's on", "logical_form": PARSES[1]}
    write(tmp_path / "en_test_extra948_tokenised.jsonl", json_lines(record))
    write(tmp_path / "en_test_first1000.jsonl.gz", json_lines({**record, "question": "what's on"}))

    assert [(e.id, e.input) for e in Mtop(tmp_path).read("test")] == [
        ("test:0", "what 's on"),
        ("test_extra948:0", "what 's on"),
    ]


def test_released_text_goes_before_json_lines(tmp_path):
    write(tmp_path / "en" / "eval.txt", RELEASED)
    write(tmp_path / "en_eval.jsonl", json_lines({"question": "x", "logical_form": PARSES[0]}))

    assert Mtop(tmp_path).files("dev") == (tmp_path / "en" / "eval.txt",)


def test_another_version_of_the_data_is_read_with_a_warning(tmp_path, monkeypatch):
    write(tmp_path / "eval.txt", RELEASED)
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))

    assert len(list(Mtop(tmp_path).read("dev"))) == 2
    (warning,) = warnings
    assert "eval.txt: not MTOP's whole English dev split: 2 examples instead of 2,235" in warning

    monkeypatch.setitem(mtop.RELEASE_COUNTS, "dev", 2)
    assert len(list(Mtop(tmp_path).read("dev"))) == 2
    assert len(warnings) == 1


def test_missing_files_are_an_error_with_names_origin_setting_and_command(tmp_path):
    write(tmp_path / "en_train.jsonl", "")
    with pytest.raises(InputError) as error:
        Mtop(tmp_path).files("dev")
    message = str(error.value)

    assert f"{str(tmp_path)!r}: eval.txt, test.txt (or .txt.gz)" in message
    for part in ("fb.me/mtop_dataset", "mtop/en", "config.task.data_dir", "python -m ipt_jax.tasks.download mtop"):
        assert part in message


def test_an_unset_data_dir_is_an_error_that_says_so(tmp_path, monkeypatch):
    write(tmp_path / "train.txt", RELEASED)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="data_dir is unset: train.txt"):
        Mtop(None).files("train")


def test_an_unknown_split_is_an_error(tmp_path):
    with pytest.raises(InputError, match="split = 'eval' is not one of train, dev, test"):
        Mtop(tmp_path).files("eval")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("one\ttwo", "2 columns between tabs; MTOP has 8"),
        ("", "1 columns"),
        (text_row("x", PARSES[0], '{"tokens": ["x"]}\textra'), "9 columns"),
        (text_row("x", "[IN:A", '{"tokens": ["x"]}'), r"'\[IN:A' should be one bracketed parse"),
        (text_row("x", PARSES[0], "tokens"), "the tokens should be JSON"),
        (text_row("x", PARSES[0], '["x"]'), "the tokens should be JSON"),
        (text_row("x", PARSES[0], '{"token": ["x"]}'), "the tokens should be JSON"),
        (text_row("x", PARSES[0], '{"tokens": "x"}'), "the tokens should be JSON"),
        (text_row("x", PARSES[0], '{"tokens": ["x", 1]}'), "the tokens should be JSON"),
    ],
)
def test_a_malformed_row_of_released_text_is_an_error_with_file_and_line(tmp_path, row, message):
    write(tmp_path / "eval.txt", f"{RELEASED}{row}\n")

    with pytest.raises(InputError, match=rf"eval\.txt:3: {message}"):
        list(Mtop(tmp_path).read("dev"))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"logical_form": PARSES[0]}, "'question'"),
        ({"question": "x", "logical_form": None}, "'logical_form'"),
        ({"question": "x", "logical_form": "x"}, "bracketed parse"),
        ({"question": "x", "logical_form": PARSES[0], "tokenized_question": ["x"]}, "'tokenized_question'"),
        ({"question": "x", "logical_form": PARSES[0], "tokenized_question": "x"}, "the tokens should be JSON"),
    ],
)
def test_a_malformed_json_lines_row_is_an_error_with_file_and_line(tmp_path, record, message):
    write(tmp_path / "en_eval.jsonl", json_lines({"question": "x", "logical_form": PARSES[0]}, record))

    with pytest.raises(InputError, match=rf"en_eval\.jsonl:2: .*{message}"):
        list(Mtop(tmp_path).read("dev"))


@pytest.mark.parametrize(
    ("utterance", "tokens"),
    [
        ("Who's at Mom’s?", "Who 's at Mom ’s ?"),
        ("can't call O'Neil", "can't call O'Neil"),
        ("the '80s and 80's", "the ' 80s and 80 ' s"),
        ("at 8:30am, 6PM.", "at 8 : 30 am , 6 PM ."),
        ("6h35 8.15am 10amPT 7am.to", "6h35 8.15am 10amPT 7am.to"),
        ("O.J. at 7 p.m. on 100.3", "O.J . at 7 p.m . on 100.3"),
        ("$5 t-shirt_x  ", "$ 5 t - shirt _ x"),
        ("", ""),
    ],
)
def test_utterances_are_cut_as_the_release_cuts_them(utterance, tokens):
    assert " ".join(tokenise(utterance)) == tokens


def test_scores_are_percent_and_carry_a_signature():
    task = Mtop(None)
    examples = [Example(f"dev:{i}", "x", PARSES[0], (PARSES[0],)) for i in range(4)]
    predictions = [PARSES[0], PARSES[0].replace("6", "7"), PARSES[0].replace("SL:", "SL:X"), "[IN:"]
    scores = score(task, predictions, examples)

    assert scores.corpus == {"exact_match": 25, "intent_match": 75, "template_match": 50, "valid": 75}
    assert scores.signatures.keys() == scores.corpus.keys()
    assert headline(task).name == example_headline(task) == "exact_match"
    assert scores.examples[1] == {
        "exact_match": 0,
        "intent_match": 100,
        "template_match": 100,
        "valid": 100,
    }


@pytest.fixture(scope="module", params=goldens("mtop"))
def golden(request):
    return request.param


def test_the_copies_have_their_counts_and_train_and_dev_are_complete(golden):
    counts = {split: sum(1 for _ in Mtop(golden.release).read(split)) for split in mtop.TEXT_NAMES}
    whole = {**mtop.RELEASE_COUNTS, "test": 1_948}
    assert counts == (whole if golden.whole else {"train": 150, "dev": 150, "test": 261})


def test_all_golden_inputs_are_equal(golden):
    rows = golden.rows("inputs.jsonl.gz")
    assert len(rows) == (400 if golden.whole else 80)
    plain, listed = (list(Mtop(golden.release, intent_list=intent_list).read("test")) for intent_list in (False, True))
    for row in rows:
        index = int(row["id"].removeprefix("test_first1000:"))
        assert (plain[index].id, plain[index].input, plain[index].target) == (
            f"test:{index}",
            row["text_in"],
            row["seq_out"],
        )
        if row["config"] == "mtop":
            assert listed[index].input == f"{row['text_in']} {row['struct_in']}"
        else:
            assert plain[index].input == row["text_in"]


def test_our_tokens_equal_the_released_ones_where_they_are_known(golden):
    rows = read_lines(golden.release / "en_test_first1000.jsonl.gz")
    assert len(rows) == (1_000 if golden.whole else 261)
    for row in rows:
        assert tokenise(row["question"]) == json.loads(row["tokenized_question"])["tokens"]


def test_our_tokens_hold_the_words_of_the_parse(golden):
    lacking = []
    for split in ("train", "dev"):
        for example in Mtop(golden.release).read(split):
            words = {word for word in example.target.split() if word != "]" and not word.startswith("[")}
            if not words <= set(example.input.split()):
                lacking.append(example.id)
    assert len(lacking) <= golden.whole  # In the whole release one, a word with a combining character.


def test_the_released_text_and_its_json_lines_are_the_same_examples(tmp_path):
    rows = read_lines(committed("mtop").release / "en_test_first1000.jsonl.gz")
    columns = ("idx", "intent", "spans", "question", "domain", "lang", "logical_form", "tokenized_question")
    # The last column of these copies still has its line's end.
    write(tmp_path / "en" / "test.txt", "".join("\t".join(row[name] for name in columns) for row in rows))
    released, copied = (list(Mtop(folder).read("test")) for folder in (tmp_path, committed("mtop").release))
    assert released == copied


def test_committed_verdicts_come_out_of_the_task():
    rows = committed("mtop").rows("verdicts.jsonl.gz")
    examples = [Example("dev:0", "", row["gold"], (row["gold"],)) for row in rows]
    scores = score(Mtop(None), [row["prediction"] for row in rows], examples).corpus
    for name in ("exact_match", "intent_match", "template_match", "valid"):
        assert scores[name] == pytest.approx(100 * sum(row[name] for row in rows) / len(rows))
