"""Collectives of compiled programs: read from HLO text, and held against what is planned, on simulated devices."""

import json
import math
import subprocess
import sys

import pytest
from devices import ROOT, simulated

from ipt_jax import compiled
from ipt_jax.collectives import Collective, total

# A loop of 31 rounds that sums over groups of four neighbours and, in a branch, gathers over the other axis.
HLO = """\
HloModule step, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%rare (p: f32[8]) -> f32[16] {
  %p = f32[8]{0} parameter(0)
  ROOT %all-gather.3 = f32[16]{0} all-gather(%p), channel_id=3, replica_groups=[4,2]<=[2,4]T(1,0), dimensions={0}
}

%body (state: (s32[], f32[2,8])) -> (s32[], f32[2,8]) {
  %state = (s32[], f32[2,8]{1,0}) parameter(0)
  %ar = f32[2,8]{1,0} all-reduce(%x), channel_id=1, replica_groups=[2,4]<=[8], use_global_device_ids=true, \
to_apply=%add, metadata={op_name="jit(step)/while/body/dot_general"}
  %c = f32[16]{0} conditional(%i, %a, %b), branch_computations={%rare, %rare}
}

%condition (state: (s32[], f32[2,8])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (argument: f32[8]) -> f32[8] {
  %loop = (s32[], f32[2,8]{1,0}) while(%init), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"31"}}
  %pair = (f32[3]{0}, bf16[4]{0}) all-reduce(%u, %v), replica_groups={{0,1,2,3,4,5,6,7}}, to_apply=%add
  %start = (f32[8]{0}, f32[16]{0}) all-gather-start(%p), replica_groups={{0,4},{1,5},{2,6},{3,7}}, dimensions={0}
  %done = f32[16]{0} all-gather-done(%start)
  ROOT %moved = f32[8]{0} collective-permute(%q), source_target_pairs={{0,1},{1,2},{2,3},{3,0}}
}
"""


def test_collectives_are_read_with_bytes_axis_and_how_often_they_run():
    found = compiled.exchanges(HLO)
    assert [(each.kind, each.bytes, each.runs, each.axis(2, 4)) for each in found] == [
        ("all-reduce", 64, 31, "model"),
        ("all-gather", 64, 31, "data"),
        ("all-gather", 64, 31, "data"),
        ("all-reduce", 12, 1, "data, model"),
        ("all-reduce", 8, 1, "data, model"),
        ("all-gather", 64, 1, "data"),
        ("collective-permute", 32, 1, "other"),
    ]
    assert found[0].origin == "jit(step)/while/body/dot_general"
    assert compiled.summary(found, 2, 4)["all-gather", "data", 64] == 63


def test_groups_that_are_written_in_an_unknown_way_are_an_error():
    with pytest.raises(ValueError, match="not understood"):
        compiled.exchanges(HLO.replace("replica_groups=[2,4]<=[8]", "replica_groups=@mesh"))


def reports(*flags):
    """What `benchmarks.programs` says of each program."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.programs", "--json", *flags],
        cwd=ROOT,
        env=simulated(1),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {report["program"]: report for report in json.loads(done.stdout.splitlines()[-1])}


def check(report, data, model, small):
    """Kinds, axes, bytes and counts are those that are planned, but for sums of a few numbers."""

    def large(rows):
        return {(kind, axis, round(size)): round(count) for kind, axis, size, count in rows if size >= small}

    assert large(report["compiled"]) == large(report["planned"])
    rest = [Collective(*row) for row in report["compiled"] if row[2] < small]
    assert {each.axis for each in rest} <= {"data", "model", "data, model"}
    sent = sum(each.sent(data * model) for each in rest)
    assert math.isfinite(sent) and sent < 0.01 * report["sent"]
