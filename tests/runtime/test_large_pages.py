"""Advice on large pages: where a kernel gives them to those that ask, and the C library was not told to."""

import pytest

from ipt_jax.runtime.large_pages import advice

ASKING = "always [madvise] never\n"


@pytest.mark.parametrize(
    ("policy", "environment", "given"),
    [
        (ASKING, {}, True),
        (ASKING, {"GLIBC_TUNABLES": "glibc.malloc.check=1"}, True),
        (ASKING, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, False),
        ("[always] madvise never\n", {}, False),
        ("always madvise [never]\n", {}, False),
        (None, {}, False),  # no Linux
    ],
)
def test_large_pages_are_advised_where_asking_for_them_changes_something(tmp_path, policy, environment, given):
    file = tmp_path / "enabled"
    if policy is not None:
        file.write_text(policy)
    said = advice(environment, file)
    assert bool(said) == given and ("GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in said) == given
