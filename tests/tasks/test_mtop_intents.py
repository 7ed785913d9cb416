"""MTOP's intents as UnifiedSKG writes them."""

from ipt_jax.tasks.mtop_intents import INTENT_LIST


def test_each_verb_stands_once_with_its_objects():
    parts = INTENT_LIST.split(" | ")
    verbs = [part.removeprefix("IN:").partition(":")[0] for part in parts]
    assert len(set(verbs)) == len(verbs) == 41
    assert all(part.startswith("IN:") for part in parts)


def test_objects_are_listed_with_commas_and_two_verbs_have_none():
    assert "IN:MERGE: CALL | IN:REPLAY: MUSIC" in INTENT_LIST
    assert "IN:RESUME: TIMER, CALL, MUSIC" in INTENT_LIST
    assert [part for part in INTENT_LIST.split(" | ") if part.endswith(": ")] == ["IN:PREFER: ", "IN:DISPREFER: "]
