"""Collectives of compiled programs: read from HLO text, and held against what is planned, on simulated devices."""

import pytest
from devices import answer_of

from benchmarks import compiled
from benchmarks.shapes import outline
from ipt_jax.plan.forecast import parameters

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


@pytest.mark.parametrize(
    ("written", "groups"),
    [
        ("mesh['a'=2,'b'=3] {'a'}", ((0, 3), (1, 4), (2, 5))),
        ("mesh['a'=2,'b'=3] {'a','b'}", ((0, 1, 2, 3, 4, 5),)),
        ("mesh['a'=4,'b'=1,'c'=2], device_ids=([2,4]T(1,0)) {'a'}", ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("mesh['a'=4,'b'=2] {'a':(2)2}", ((0, 2), (1, 3), (4, 6), (5, 7))),
        ("[2,4]<=[8]", ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("[4,2]<=[2,4]T(1,0)", ((0, 4), (1, 5), (2, 6), (3, 7))),
        ("{{0,4},{1,5}}", ((0, 4), (1, 5))),
    ],
)
def test_groups_are_read_in_every_notation_of_xla(written, groups):
    line = HLO.replace("replica_groups=[2,4]<=[8]", f"replica_groups={written}")
    assert compiled.exchanges(line)[0].groups == groups


def test_groups_that_are_written_in_an_unknown_way_are_an_error():
    with pytest.raises(ValueError, match="not understood"):
        compiled.exchanges(HLO.replace("replica_groups=[2,4]<=[8]", "replica_groups=@mesh"))


def reports(*flags):
    """What `benchmarks.programs` says of each program."""
    printed = answer_of(["-m", "benchmarks.programs", "--json", *flags], 1)
    return {report["program"]: report for report in printed}


def check(report, small=512):
    """Kinds, axes, bytes and counts are those that are planned; besides, only sums of a few numbers."""

    def large(rows):
        return {(kind, axis, round(size)): round(count) for kind, axis, size, count in rows if size >= small}

    assert large(report["compiled"]) == large(report["planned"]) != {}
    few = {(kind, axis) for kind, axis, size, _ in report["compiled"] if size < small}
    assert few <= {("all-reduce", "data"), ("all-reduce", "model"), ("all-gather", "model")}


SMALL_LLAMA = [
    *("--shape=llama-2-7b", "--change=hidden_size=64", "--change=num_hidden_layers=3"),
    "--change=num_attention_heads=8",
    # Two key-value heads for four devices, and so many words that the loss goes through them in blocks.
    *("--change=num_key_value_heads=2", "--change=intermediate_size=128", "--change=vocab_size=65536"),
    *("--data=2", "--model=4", "--tokens=64", "--targets=64", "--prompt_rows=4", "--decode_layers=3"),
]


@pytest.mark.parametrize("programs", ["training", "prefill,decode"])
def test_a_small_models_programs_on_eight_devices_send_what_is_planned_and_nothing_else(programs):
    # Rows of all three prompts are shared out: were they not, each device would send those of the others.
    found = reports(*SMALL_LLAMA, "--members=3", "--rows=16", f"--programs={programs}")
    assert set(found) == set(programs.split(","))
    for report in found.values():
        check(report)


def test_a_vocabulary_that_does_not_divide_makes_devices_gather_nothing():
    changes = ("--change=n_layer=3", "--change=n_embd=64", "--change=n_head=8", "--change=vocab_size=97")
    size = ("--data=2", "--model=4", "--rows=4", "--tokens=32", "--targets=16", "--prompt_rows=4", "--decode_layers=3")
    report = reports("--shape=gpt2", *changes, *size, "--programs=training")["training"]
    check(report)
    assert {kind for kind, *_ in report["compiled"]} == {"all-reduce"}


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama-2-7b", "llama-2-70b"])
@pytest.mark.parametrize("rematerialisation", ["dots", "block"])
def test_a_large_models_programs_on_64_devices_send_what_is_planned_and_nothing_else(shape, rematerialisation):
    data, model = (8, 8) if shape == "llama-2-7b" else (4, 16)
    flags = (f"--shape={shape}", f"--data={data}", f"--model={model}", f"--rematerialisation={rematerialisation}")
    programs = "training,prefill,decode" if rematerialisation == "dots" else "training"
    for report in reports(*flags, f"--programs={programs}").values():
        check(report)
        if report["program"] != "decode":  # of which only some layers are compiled
            assert report["arguments"] == pytest.approx(4 * parameters(outline(shape), model), rel=0.01)
