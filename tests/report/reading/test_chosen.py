"""A report on some methods and metrics."""

import pytest
from commands import call
from report_samples import make_workdir

from ipt_jax.errors import InputError
from ipt_jax.report.reading.chosen import chosen
from ipt_jax.report.reading.collect import collect


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return make_workdir(tmp_path_factory.mktemp("some"), examples=20)


def test_named_methods_and_metrics_alone_are_shown_and_the_headline_in_any_case(workdir):
    whole = collect([workdir])
    (setting,) = chosen(whole, ["PT", "IPT"], ["bleu_official"]).settings
    assert [method.label for method in setting.methods] == ["PT", "IPT"]
    assert set(setting.methods[0].result["scores"]) == {"bleu_unifiedskg", "bleu_official", "signatures"}
    assert chosen(whole, [], []) == whole


@pytest.mark.parametrize(
    ("methods", "metrics", "message"),
    [
        (["IPTT"], [], "--methods: there is no 'IPTT'; did you mean 'IPT'?"),
        ([], ["bleu_unified"], "--metrics: there is no 'bleu_unified'; did you mean 'bleu_unifiedskg'?"),
        ([], ["signatures"], "--metrics: there is no 'signatures'"),
    ],
)
def test_what_is_not_there_is_refused_with_the_near_name(workdir, methods, metrics, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        chosen(collect([workdir]), methods, metrics)


def test_the_command_writes_a_table_of_what_is_named(workdir, tmp_path):
    flags = ["--methods=IPT", "--methods=ICL, retrieved one-shot", "--metrics=bleu_unifiedskg"]
    done = call("ipt_jax.report", str(workdir), *flags, f"--output={tmp_path}")
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "table.md").read_text()
    assert "| IPT |" in table and "| ICL, retrieved one-shot |" in table
    assert "| PT |" not in table and "official" not in table.split("\n\n")[2]
