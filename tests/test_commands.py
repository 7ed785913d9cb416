"""predict and export, as a user calls them."""

import json

import numpy as np
import pytest
from commands import call
from tiny import tiny_lm, write_hf_folder
from tolerances import LOG_PROBABILITY, close

from ipt_jax.adapters.files import load_prompt, save_prompt
from ipt_jax.language_model import LanguageModel
from ipt_jax.workdir.json_files import read_rows

PROMPT = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    write_hf_folder(folder / "lm", num_hidden_layers=1)
    np.save(folder / "prompt.npy", PROMPT)
    rows = [{"id": f"r{i}", "input": f"Input: {'x ' * i}\nOutput:"} for i in range(6)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def predict(files, output, *flags, source="in.jsonl"):
    return call(
        "ipt_jax.predict",
        f"--model={files / 'lm'}",
        f"--prompt={files / 'prompt.npy'}",
        f"--input={files / source}",
        f"--output={output}",
        "--max_new_tokens=5",
        *flags,
    )


def test_predict_writes_a_row_per_input_and_goes_on_where_it_was_killed(files, tmp_path):
    done = predict(files, tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    rows = {row["id"]: row for row in read_rows(tmp_path / "out.jsonl")}
    lm = LanguageModel(tiny_lm(num_hidden_layers=1))
    tokens = [lm.tokenizer.encode(row["input"]) for row in read_rows(files / "in.jsonl")]
    for i, generated in enumerate(lm.generate(tokens, PROMPT, max_new_tokens=5)):
        assert rows[f"r{i}"]["prediction"] == generated.text.strip() and rows[f"r{i}"]["stop"] == generated.stop
        close(rows[f"r{i}"]["log_probability"], generated.log_probability, LOG_PROBABILITY)

    whole = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_bytes(b"".join(whole[:2]) + whole[2][:20])
    assert predict(files, tmp_path / "torn.jsonl").returncode == 0
    kept = (tmp_path / "torn.jsonl").read_bytes().splitlines(keepends=True)
    assert kept[:2] == whole[:2] and len(kept) == 6
    assert {r["id"]: r["prediction"] for r in read_rows(tmp_path / "torn.jsonl")} == {
        id: row["prediction"] for id, row in rows.items()
    }


def test_predict_draws_the_same_answers_for_an_input_whatever_was_done_before(files, tmp_path):
    flags = ("--do_sample", "--temperature=3.0", "--num_return_sequences=2")
    assert predict(files, tmp_path / "out.jsonl", *flags).returncode == 0
    rows = read_rows(tmp_path / "out.jsonl")
    assert all(row["prediction"] == row["sequences"][0]["prediction"] and len(row["sequences"]) == 2 for row in rows)
    assert any(one["prediction"] != other["prediction"] for one, other in (row["sequences"] for row in rows))
    whole = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "half.jsonl").write_bytes(b"".join(whole[:3]))
    assert predict(files, tmp_path / "half.jsonl", *flags).returncode == 0
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
def test_predict_names_the_line_it_cannot_use_and_writes_nothing(files, tmp_path, content, message):
    (files / "bad.jsonl").write_text(content)
    done = predict(files, tmp_path / "out.jsonl", source="bad.jsonl")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not read_rows(tmp_path / "out.jsonl")


def test_predict_does_not_mix_its_rows_into_another_files_predictions(files, tmp_path):
    (tmp_path / "out.jsonl").write_text('{"id": "other", "prediction": "x"}\n')
    done = predict(files, tmp_path / "out.jsonl")
    assert done.returncode == 2 and "id 'other' is none of" in done.stderr and "--overwrite" in done.stderr


def test_predict_refuses_rows_that_were_made_by_something_else_and_makes_them_anew_when_told(files, tmp_path):
    output = tmp_path / "new" / "out.jsonl"  # a folder that is not there yet
    assert predict(files, output).returncode == 0
    first = {row["id"]: row for row in read_rows(output)}
    rows = read_rows(files / "in.jsonl")
    rows[2]["input"] = "Another text\nOutput:"
    (files / "changed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    done = predict(files, output, source="changed.jsonl")
    assert done.returncode == 2 and "id 'r2' was made by another input; choose another --output" in done.stderr
    assert {row["id"]: row for row in read_rows(output)} == first
    done = predict(files, output, "--repetition_penalty=1.5", "--overwrite")
    assert done.returncode == 0 and "6 rows were made by something else" in done.stderr
    assert len(read_rows(output)) == 6
    assert all(row["made_by"]["search"] != first[row["id"]]["made_by"]["search"] for row in read_rows(output))


@pytest.mark.parametrize(("format", "name"), [("npy", "p.npy"), ("safetensors", "p.safetensors"), ("peft", "adapter")])
def test_an_exported_prompt_is_read_back_bit_for_bit(files, tmp_path, format, name):
    done = call(
        "ipt_jax.export", f"--prompt={files / 'prompt.npy'}", f"--format={format}", f"--output={tmp_path / name}"
    )
    assert done.returncode == 0, done.stderr
    assert load_prompt(tmp_path / name).tobytes() == PROMPT.tobytes()
    if format == "peft":
        config = json.loads((tmp_path / name / "adapter_config.json").read_text())
        assert (config["peft_type"], config["num_virtual_tokens"], config["token_dim"]) == ("PROMPT_TUNING", 3, 32)


def test_an_exported_prompt_knows_its_model_and_predicts_with_no_other(files, tmp_path):
    known = {"model": "other", "model_fingerprint": "0" * 64}
    save_prompt(tmp_path / "p.safetensors", PROMPT, known)
    call(
        "ipt_jax.export", f"--prompt={tmp_path / 'p.safetensors'}", "--format=peft", f"--output={tmp_path / 'adapter'}"
    )
    assert load_prompt(tmp_path / "adapter").fingerprint == "0" * 64
    done = predict(files, tmp_path / "out.jsonl", f"--prompt={tmp_path / 'adapter'}")
    assert done.returncode == 2 and "the prompt was trained on other (weights 000000000000), not on" in done.stderr
