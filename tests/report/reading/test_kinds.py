"""Kinds of methods: what numbers make of a run, whatever it calls itself."""

import dataclasses

import pytest

from ipt_jax.report.looks.claims import UNTESTED, claims
from ipt_jax.report.looks.transfer import transfers
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.kinds import IPT, PT, RANDOM_ONE_SHOT, RETRIEVED_THREE_SHOT, Kind, kind_of
from ipt_jax.report.reading.methods import Method


@pytest.mark.parametrize(
    ("result", "kind", "label"),
    [
        ({"prompt_tokens": 25, "training": {"steps": 1}}, PT, "PT"),
        (
            {"prompt_tokens": 1, "training": {"steps": 1}, "demonstrations": 1, "retriever": "bm25"},
            IPT,
            "IPT",
        ),
        ({"demonstrations": 1, "retriever": "random"}, RANDOM_ONE_SHOT, "ICL, random one-shot"),
        ({"demonstrations": 3, "retriever": "dense"}, RETRIEVED_THREE_SHOT, "ICL, retrieved three-shot"),
        (
            {"demonstrations": 2, "retriever": "dense", "layout": {"selection": "farthest"}},
            Kind(demonstrations=2, retriever="retrieved", selection="farthest"),
            "ICL, least similar two-shot",
        ),
        ({"retriever": "dense", "layout": {"selection": "farthest"}}, Kind(), "zero-shot"),
        (
            {"prompt_tokens": 5, "prompt_source": {"run": "a"}},
            Kind(prompted=True, loaded=True),
            "transfer, zero-shot",
        ),
    ],
)
def test_the_numbers_of_a_result_are_its_kind(result, kind, label):
    assert kind_of(result) == kind and kind.label == label


def test_a_renamed_method_changes_no_claim(study):
    """What runs call themselves is for people."""

    def renamed(method):
        runs = []
        for i, run in enumerate(method.runs):
            result = dict(run.result) | {"method": f"method {i}"}
            if source := result.get("prompt_source"):
                result["prompt_source"] = source | {"method": "something"}
            runs.append(dataclasses.replace(run, result=result))
        return Method(f"renamed {method.label}", tuple(runs))

    settings = collect([study]).settings
    others = [dataclasses.replace(each, methods=tuple(map(renamed, each.methods))) for each in settings]
    ours, theirs = (claims(each, transfers(each)) for each in (settings, others))
    assert [claim.verdict for claim in ours] == [claim.verdict for claim in theirs]
    assert UNTESTED not in {claim.verdict for claim in ours}
