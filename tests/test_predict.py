"""Inputs of a file, continued as a user would."""

import json

import pytest
from chat_templates import chat_folder
from commands import call
from prompt_files import PROMPT, predict
from tiny import tiny_lm
from tolerances import LOG_PROBABILITY, close

import ipt_jax
from ipt_jax.language_model import LanguageModel
from ipt_jax.workdir.json_files import read_rows


def test_predict_writes_a_row_per_input_and_goes_on_where_it_was_killed(prompt_files, tmp_path):
    done = predict(prompt_files, tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    rows = {row["id"]: row for row in read_rows(tmp_path / "out.jsonl")}
    lm = LanguageModel(tiny_lm(num_hidden_layers=1))
    tokens = [lm.tokenizer.encode(row["input"]) for row in read_rows(prompt_files / "in.jsonl")]
    for i, generated in enumerate(lm.generate(tokens, PROMPT, max_new_tokens=5)):
        assert rows[f"r{i}"]["prediction"] == generated.text.strip() and rows[f"r{i}"]["stop"] == generated.stop
        close(rows[f"r{i}"]["log_probability"], generated.log_probability, LOG_PROBABILITY)

    whole = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_bytes(b"".join(whole[:2]) + whole[2][:20])
    assert predict(prompt_files, tmp_path / "torn.jsonl").returncode == 0
    kept = (tmp_path / "torn.jsonl").read_bytes().splitlines(keepends=True)
    assert kept[:2] == whole[:2] and len(kept) == 6
    assert {r["id"]: r["prediction"] for r in read_rows(tmp_path / "torn.jsonl")} == {
        id: row["prediction"] for id, row in rows.items()
    }


def test_predict_draws_the_same_answers_for_an_input_whatever_was_done_before(prompt_files, tmp_path):
    flags = ("--do_sample", "--temperature=3.0", "--num_return_sequences=2")
    assert predict(prompt_files, tmp_path / "out.jsonl", *flags).returncode == 0
    rows = read_rows(tmp_path / "out.jsonl")
    assert all(row["prediction"] == row["sequences"][0]["prediction"] and len(row["sequences"]) == 2 for row in rows)
    assert any(one["prediction"] != other["prediction"] for one, other in (row["sequences"] for row in rows))
    whole = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "half.jsonl").write_bytes(b"".join(whole[:3]))
    assert predict(prompt_files, tmp_path / "half.jsonl", *flags).returncode == 0
    again = {row["id"]: row for row in read_rows(tmp_path / "half.jsonl")}
    for row in rows:
        assert [a["prediction"] for a in row["sequences"]] == [a["prediction"] for a in again[row["id"]]["sequences"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "a", "input": "x"}\n{"id": "a", "input": "y"}\n', ":2: id 'a' stands there twice"),
        ('{"id": "a", "input": "x"}\n{"id": 3}\n', ":2: expected"),
        ('{"id": "a", "input": "x"}\nnonsense\n{"id": "b", "input": "y"}\n', ":2: not valid JSON"),
        ('{"id": "a", "input": "x"}\n{"id": "b", "inp', ":2: not valid JSON"),
        ("", "holds no row"),
        (json.dumps({"id": "a", "input": "x" * 900}) + "\n", "id 'a': 3 prompt rows + 900 tokens"),
    ],
)
def test_predict_names_the_line_it_cannot_use_and_writes_nothing(prompt_files, tmp_path, content, message):
    (prompt_files / "bad.jsonl").write_text(content)
    done = predict(prompt_files, tmp_path / "out.jsonl", source="bad.jsonl")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not read_rows(tmp_path / "out.jsonl")


def test_predict_does_not_mix_its_rows_into_another_files_predictions(prompt_files, tmp_path):
    (tmp_path / "out.jsonl").write_text('{"id": "other", "prediction": "x"}\n')
    done = predict(prompt_files, tmp_path / "out.jsonl")
    assert done.returncode == 2 and "id 'other' is none of" in done.stderr and "--overwrite" in done.stderr


def test_predict_refuses_rows_that_were_made_by_something_else_and_makes_them_anew_when_told(prompt_files, tmp_path):
    output = tmp_path / "new" / "out.jsonl"  # a folder that is not there yet
    assert predict(prompt_files, output).returncode == 0
    first = {row["id"]: row for row in read_rows(output)}
    rows = read_rows(prompt_files / "in.jsonl")
    rows[2]["input"] = "Another text\nOutput:"
    (prompt_files / "changed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    done = predict(prompt_files, output, source="changed.jsonl")
    assert done.returncode == 2 and "id 'r2' was made by another input; choose another --output" in done.stderr
    assert {row["id"]: row for row in read_rows(output)} == first
    done = predict(prompt_files, output, "--repetition_penalty=1.5", "--overwrite")
    assert done.returncode == 0 and "6 rows were made by something else" in done.stderr
    assert len(read_rows(output)) == 6
    assert all(row["made_by"]["search"] != first[row["id"]]["made_by"]["search"] for row in read_rows(output))


@pytest.fixture(scope="module")
def chat_files(tmp_path_factory):
    folder = chat_folder(tmp_path_factory.mktemp("chat") / "lm")
    (folder.parent / "in.jsonl").write_text('{"id": "a", "input": "say <|eot_id|> it"}\n')
    return folder.parent


def test_predict_speaks_to_a_model_by_its_own_chat_template(chat_files, tmp_path):
    flags = ("--chat", "--system=Be brief.", "--max_new_tokens=5", f"--output={tmp_path / 'out.jsonl'}")
    done = call("ipt_jax.predict", f"--model={chat_files / 'lm'}", f"--input={chat_files / 'in.jsonl'}", *flags)
    assert done.returncode == 0, done.stderr
    lm = ipt_jax.load_lm(str(chat_files / "lm"))
    rows = lm.chat(["say <|eot_id|> it"], "Be brief.")
    assert rows[0].count(lm.tokenizer.eos_ids[0]) == 2  # behind system and user alone
    (answer,) = lm.generate(rows, max_new_tokens=5)
    (row,) = read_rows(tmp_path / "out.jsonl")
    assert row["prediction"] == answer.text.strip()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--chat",), "the model's files have no chat template"),
        (("--system=x",), "--system='x' is of a chat; give --chat, too"),
    ],
)
def test_predict_says_what_a_chat_needs(prompt_files, tmp_path, flags, message):
    done = predict(prompt_files, tmp_path / "out.jsonl", *flags)
    assert done.returncode == 2 and message in done.stderr
