"""docs/settings.md says what the package's settings are."""

from paths import ROOT

from ipt_jax.experiment.settings_page import page


def test_the_reference_of_settings_is_what_the_package_makes():
    committed = (ROOT / "docs" / "settings.md").read_text()
    assert committed == page(), "run: python -m ipt_jax.experiment.settings_page > docs/settings.md"
