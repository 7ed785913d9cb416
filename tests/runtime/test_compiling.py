"""What is compiled is said beforehand, once."""

import logging

from ipt_jax.runtime import compiling


def test_what_is_compiled_is_told_once_for_each_key_with_its_seconds(caplog):
    with caplog.at_level(logging.INFO, logger="ipt_jax"):
        for key in ("a key of this test", "a key of this test", "another key of this test"):
            compiling.expect("the loss", 0.2, key)
    assert [record.getMessage() for record in caplog.records] == [
        "compiling the loss: about 1 s, less where the cache has it"
    ] * 2
