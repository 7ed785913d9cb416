"""The data of the example explorer: what is kept of every run, each text once."""

import base64
import gzip
import json
from dataclasses import replace

from ipt_jax.report.page.explorer import explorer_columns, explorer_packs, natural_order
from ipt_jax.report.reading.methods import Method, Setting


def test_the_explorer_lists_examples_in_the_order_of_the_data_not_of_decoding():
    assert sorted(["test:20", "test:9", "test:100", "a²:1"], key=natural_order) == [
        "a²:1",
        "test:9",
        "test:20",
        "test:100",
    ]


def test_the_explorer_keeps_an_input_once_and_each_demonstration_once(setting):
    columns = explorer_columns(setting)
    _, input, references, predictions = columns["examples"][0]
    methods = {method["label"]: method["runs"] for method in columns["methods"]}
    seen = {run.id: run.predictions[0] for run in setting.runs}
    assert input == seen[setting.methods[0].runs[0].id]["input"]
    assert references == setting.runs[0].predictions[0]["references"]
    assert len(set(predictions)) == len(predictions)
    for method in setting.methods:
        for run, column in zip(method.runs, methods[method.label], strict=True):
            row = seen[run.id]
            assert predictions[column["prediction"][0]] == row["prediction"]
            assert "".join(columns["texts"][i] for i in column["read"][0]) + input == row["input"]
            assert len(column["read"][0]) == len(row["demonstrations"]) == len(column["shown"][0])
    assert methods["ICL, retrieved one-shot"][0]["read"] == methods["IPT"][1]["read"]
    assert len(set(columns["texts"])) == len(columns["texts"])


def test_demonstrations_that_cannot_be_told_apart_stay_one_text(setting):
    zero, (run,) = setting.methods[0], setting.methods[3].runs
    template_unknown = replace(run, config={})
    _, method = explorer_columns(Setting((zero, Method("ICL", (template_unknown, run)))))["methods"]
    assert [len(column["read"][0]) for column in method["runs"]] == [1, 3]


def test_an_example_that_a_run_lacks_is_null_in_its_columns(setting):
    whole, other = setting.methods[0].runs[0], setting.methods[1].runs[0]
    partial = replace(other, predictions=other.predictions[1:])
    columns = explorer_columns(Setting((Method("a", (whole,)), Method("b", (partial,)))))
    assert len(columns["examples"]) == 100
    (run,) = columns["methods"][1]["runs"]
    for name in ("prediction", "score", "cut", "log_probability", "shown", "read"):
        assert run[name][0] is None and run[name][1] is not None


def test_a_pack_says_what_the_columns_say_and_is_the_same_each_time(setting):
    lone = {**setting.runs[0].predictions[0], "prediction": "\ud800 </script>"}
    odd = Setting((Method("odd", (replace(setting.runs[0], predictions=[lone]),)),))
    for one in (setting, odd):
        (pack,), (again,) = explorer_packs([one]), explorer_packs([one])
        assert json.loads(gzip.decompress(base64.b64decode(pack.data))) == explorer_columns(one)
        assert pack == again and pack.examples == len(explorer_columns(one)["examples"])


def test_a_setting_without_predictions_has_no_pack(setting):
    assert explorer_packs([Setting((Method("a", (replace(setting.runs[0], predictions=()),)),))]) == []
