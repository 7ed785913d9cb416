"""What a machine says of itself beside a table of speed."""

from benchmarks import machine


def test_the_processor_and_its_widest_instruction_set_are_read_from_linux(tmp_path):
    said = tmp_path / "cpuinfo"
    said.write_text(
        "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse4_2 avx avx2\n\nprocessor\t: 1\nflags\t: none\n"
    )
    assert machine.cpuinfo(said) == {"processor": "0", "model name": "AMD EPYC", "flags": "fpu sse4_2 avx avx2"}
    assert machine.cpuinfo(tmp_path / "absent") == {}
    assert machine.instruction_set(["fpu", "sse4_2", "avx", "avx2"]) == "AVX2"
    assert machine.instruction_set(["avx2", "avx512f"]) == "AVX512"
    assert machine.instruction_set(["neon"]) == "unknown"


def test_a_rate_is_that_of_the_fastest_product(monkeypatch):
    clock = iter([0.0, 4.0, 4.0, 6.0, 6.0, 9.0])
    monkeypatch.setattr(machine, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(machine, "ROUNDS", 3)
    calls = []
    assert machine.rate(lambda: calls.append(None)) == 2 * machine.SIZE**3 / 2.0 / 1e9
    assert len(calls) == 4  # the first one is not timed


def test_both_rates_are_measured_and_stand_in_one_sentence(monkeypatch):
    monkeypatch.setattr(machine, "SIZE", 64)
    monkeypatch.setattr(machine, "ROUNDS", 2)
    found = machine.machine()
    assert found["xla_gflops"] > 0 and found["numpy_gflops"] > 0 and found["cores"] >= 1
    rates = {"xla_gflops": 93.6, "numpy_gflops": 110.2}
    told = machine.sentence(
        {**found, **rates, "processor": "P", "instruction_set": "AVX2", "xla_flags": "--a", "devices": "CPU, 2 cores"}
    )
    assert told == "P, AVX2 (--a), CPU, 2 cores: 94 GFLOP/s in float32 through XLA, 110 through NumPy"
