"""docs/settings.md says what the package's settings are."""

from pathlib import Path

from ipt_jax.settings_page import page


def test_the_reference_of_settings_is_what_the_package_makes():
    committed = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    assert committed == page(), "run: python -m ipt_jax.settings_page > docs/settings.md"
