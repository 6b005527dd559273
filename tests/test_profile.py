"""The profile: what is accepted, and how errors are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bci.errors import ProfileError
from bci.profile import load_profile, parse_profile

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SIMULATED = (CONFIGS / "simulated.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_profile_is_valid(path: Path) -> None:
    assert load_profile(path).name == path.stem


def test_every_wrong_field_is_listed_with_its_path() -> None:
    wrong = SIMULATED.replace("n_channels = 192", "n_channels = -1\nspeed = 3").replace("beta = 0.7", 'beta = "fast"')
    with pytest.raises(ProfileError) as caught:
        parse_profile(wrong, "wrong.toml")
    for path in ("stream.n_channels", "stream.speed", "decoder.beta"):
        assert path in str(caught.value)


def test_an_intent_that_is_not_decoded_cannot_be_mapped_to_an_axis() -> None:
    with pytest.raises(ProfileError, match=r"'fly' is not one of decoder\.outputs"):
        parse_profile(SIMULATED.replace('intent = "vx"', 'intent = "fly"'), "wrong.toml")


@pytest.mark.parametrize("text", ["", "= 3", "schema_version = 2"])
def test_a_file_that_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_profile(text, "wrong.toml")


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path / "absent.toml")


def test_a_lease_longer_than_the_hard_maximum_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"device\.limits\.lease_ms"):
        parse_profile(SIMULATED + "\n[device.limits]\nlease_ms = 201\n", "wrong.toml")


def test_a_bin_must_be_a_whole_number_of_samples() -> None:
    with pytest.raises(ProfileError, match="whole number"):
        parse_profile(SIMULATED.replace("bin_ms = 20.0", "bin_ms = 30.0"), "wrong.toml")


def test_what_decides_a_features_meaning_changes_the_features_hash_and_nothing_else_does() -> None:
    base = parse_profile(SIMULATED, "base")
    other_gain = parse_profile(SIMULATED.replace("beta = 0.7", "beta = 0.8"), "gain")
    other_transform = parse_profile(SIMULATED.replace('"sqrt"', '"none"'), "transform")
    assert base.features_hash == other_gain.features_hash != other_transform.features_hash
    assert base.hash != other_gain.hash
