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


EXTRA = """
[[extra_streams]]
name = "EMG"
n_channels = 2
rate_hz = 250.0

[extra_streams.features]
kind = "band_power"
bin_ms = 20.0
measure = "envelope"
bands_hz = [[20.0, 100.0]]
"""


def test_a_further_stream_is_checked_like_the_first() -> None:
    profile = parse_profile(SIMULATED + EXTRA, "merged")
    assert profile.extra_streams[0].wait_ms == 50.0
    assert profile.features_hash != parse_profile(SIMULATED, "alone").features_hash
    for before, after, complaint in (
        ("bin_ms = 20.0\nmeasure", "bin_ms = 40.0\nmeasure", r"extra_streams\.0\.features\.bin_ms: must be that of"),
        ("100.0]]", "125.0]]", r"extra_streams\.0\.features: 125 Hz is not below half"),
        ('name = "EMG"', 'name = "SimulatedParticipant"', "each stream needs a name of its own"),
        ("rate_hz = 250.0", "rate_hz = 256.0", r"extra_streams\.0\.features\.bin_ms: 20 ms at 256 Hz is 5.12 samples"),
        ('measure = "envelope"', "csp_pairs = 1", "only the main stream learns spatial filters"),
    ):
        with pytest.raises(ProfileError, match=complaint):
            parse_profile(SIMULATED + EXTRA.replace(before, after), "wrong.toml")


def test_who_watches_over_the_channels_does_not_change_what_a_feature_means() -> None:
    base = parse_profile(SIMULATED, "base")
    other = parse_profile(SIMULATED.replace("[decoder]", "[features.quality]\nreadmit_s = 60.0\n\n[decoder]"), "other")
    assert base.features_hash == other.features_hash
    assert base.hash != other.hash


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SIMULATED.replace("\n", "\r\n").encode())
    assert load_profile(path) == parse_profile(SIMULATED, "p.toml")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("name = 'x'".encode("utf-16"), "line 1 holds the byte 0xff"),
        ("schema_version = 1\nname = 'é'".encode("latin-1"), "line 2 holds the byte 0xe9"),
    ],
)
def test_another_encoding_is_named_as_what_it_is(tmp_path: Path, data: bytes, complaint: str) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(data)
    with pytest.raises(ProfileError, match=f"{complaint}.*Save it as UTF-8"):
        load_profile(path)
