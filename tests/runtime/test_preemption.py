"""SIGTERM and Ctrl-C: what they raise, with which status, and that a second Ctrl-C is not held back."""

import signal

import pytest

from ipt_jax.runtime import preemption

STATUS = {signal.SIGTERM: 75, signal.SIGINT: 130}


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_ends_the_process_wherever_it_is_and_says_how_to_go_on(number, caplog):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left, preemption.restartable():
        signal.raise_signal(number)
    assert left.value.code == STATUS[number] and signal.getsignal(number) is before
    assert f"{preemption.name(number)}: what is finished is saved, the same command goes on" in caplog.text


@pytest.mark.parametrize("number", STATUS)
def test_a_deferred_signal_is_only_noted_and_a_second_ctrl_c_acts_at_once(number, caplog):
    with preemption.deferred() as came:
        assert came() == 0
        signal.raise_signal(number)
        assert came() == number and preemption.Preempted(came()).code == STATUS[number]
        assert (signal.getsignal(signal.SIGINT) is signal.SIG_DFL) == (number == signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert ("Ctrl-C again ends at once" in caplog.text) == (number == signal.SIGINT)
