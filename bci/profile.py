"""The profile: everything that is configured, as one frozen object read once from TOML.

Units are in the names. Unknown fields are errors. `load_profile` reports every wrong field at once, with its path.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from bci.devices import AxisMap as AxisMap  # whoever reads a profile finds these here
from bci.devices import Device as Device
from bci.devices import DeviceAxis as DeviceAxis
from bci.devices import DiscreteAction as DiscreteAction
from bci.devices import Limits as Limits
from bci.devices import LslSink as LslSink
from bci.devices import Sink as Sink
from bci.devices import Turn as Turn
from bci.devices import UdpSink as UdpSink
from bci.errors import ProfileError
from bci.settings import Discrete, Fraction, State
from bci.settings import Section as Section

Band: TypeAlias = tuple[PositiveFloat, PositiveFloat]
OrOff = BeforeValidator(lambda value: None if value is False else value)  # TOML has no null: `zscore = false`


class Stream(Section):
    """Which LSL stream feeds the decoder. Empty text fields match anything; what is given must match exactly."""

    name: str
    type: str = ""
    source_id: str = ""
    host: str = ""
    n_channels: PositiveInt
    rate_hz: PositiveFloat
    unit: str = Field("", description="unit that every used channel must declare, for example microvolts")
    channels: tuple[str, ...] = Field((), description="labels to use, in this order; empty: all")
    markers: str = Field("", description="name of the marker stream that goes with it; empty: none")
    marker_channel: str = Field("", description="label or number of the channel of that stream which holds the cues")
    marker_key: str = Field("", description="key under which a marker that is a JSON object holds the cue")
    stale_after_ms: float = Field(150.0, gt=0, le=300.0, description="older data is no data")


class ZScore(Section):
    """Adaptive normalisation: z = (y - mean) / max(deviation, floor), clipped."""

    tau_mean_s: PositiveFloat = 120.0
    tau_deviation_s: PositiveFloat = 300.0
    freeze_deviation_after_s: PositiveFloat | None = Field(None, description="then it stays; absent: always tracked")
    deviation_floor: PositiveFloat = 1e-3
    clip: PositiveFloat = 5.0
    burst_share: Fraction = Field(0.3, description="so many features beyond the clip at once are a burst")
    freeze_s: float = Field(10.0, ge=0, description="after a burst neither mean nor deviation moves for so long")


class Quality(Section):
    """Which channels are not to be believed: masked when a fault lasts, admitted again after a time without any."""

    tau_s: PositiveFloat = Field(2.0, description="time constant of what a channel does now")
    baseline_s: PositiveFloat = Field(600.0, description="and of what it usually does")
    flat_s: PositiveFloat = Field(1.0, description="the same value for so long, and longer than chance explains")
    dead_ratio: Fraction = Field(0.05, description="of its usual activity")
    dead_s: PositiveFloat = 3.0
    noisy_ratio: PositiveFloat = Field(9.0, description="of its usual activity, when the others have not changed")
    noisy_s: PositiveFloat = 1.0
    saturation: PositiveFloat | None = Field(None, description="values this far from 0 are the amplifier's limit")
    line_hz: PositiveFloat | None = Field(None, description="mains frequency to look for; absent: features.notch_hz")
    line_ratio: PositiveFloat = Field(25.0, description="line power over that of the other channels")
    short_correlation: Fraction = Field(0.99, description="of the differences of two channels")
    short_s: PositiveFloat = 5.0
    readmit_s: PositiveFloat = 30.0


class RateQuality(Quality):
    """The same for counts, which may be silent, multiply or coincide for good reasons: 0 and 1 switch a test off."""

    dead_ratio: Fraction = 0.0
    noisy_ratio: PositiveFloat = 50.0
    short_correlation: Fraction = 1.0


class Binned(Section):
    """What all features have: bins, normalisation, memory, and watch over the channels."""

    bin_ms: PositiveFloat = 20.0
    zscore: Annotated[ZScore | None, OrOff] = ZScore()
    stack_bins: PositiveInt = Field(1, le=50, description="features of the last so many bins, side by side")
    quality: Annotated[Quality | None, OrOff] = Quality()

    @property
    def highest_hz(self) -> float:
        """Highest frequency that is filtered for."""
        return 0.0


class Rates(Binned):
    """Features that arrive as rates or counts: summed in bins, optionally square-rooted, normalised."""

    kind: Literal["rates"] = "rates"
    reduce: Literal["sum", "mean"] = "sum"
    transform: Literal["none", "sqrt"] = "sqrt"
    quality: Annotated[RateQuality | None, OrOff] = RateQuality()


class BandPower(Binned):
    """Features of a voltage: notch, band-pass bank, re-reference, log power in an exponential window, normalised."""

    kind: Literal["band_power"] = "band_power"
    bin_ms: PositiveFloat = 40.0
    reference: Literal["none", "average", "laplacian"] = "none"
    csp_pairs: int = Field(0, ge=0, le=8, description="pairs of learned spatial filters per band and contrast; 0: none")
    notch_hz: float | None = Field(None, gt=0)
    bands_hz: tuple[Band, ...] = Field(min_length=1)
    filter_order: PositiveInt = 4
    window_ms: PositiveFloat = Field(250.0, description="time constant of the exponential window")
    measure: Literal["log_power", "envelope"] = Field("log_power", description="envelope: rectified, for EMG")

    @model_validator(mode="after")
    def _bands_are_ordered(self) -> Self:
        _check_bands(self.bands_hz)
        return self

    @property
    def highest_hz(self) -> float:
        """Highest frequency that is filtered for."""
        return max(self.notch_hz or 0.0, *(high for _, high in self.bands_hz))


class Spikes(Binned):
    """Features of a broadband voltage: threshold crossings and spike-band power, binned, normalised."""

    kind: Literal["spikes"] = "spikes"
    measures: tuple[Literal["crossings", "power"], ...] = Field(("crossings", "power"), min_length=1)
    reference: Literal["none", "average", "regression"] = "average"
    regression_s: PositiveFloat = Field(10.0, description="stretch on which the regression reference is learned")
    regression_every_s: float = Field(0.0, ge=0, description="learn it anew so often; 0: once, at the start")
    regression_ridge: PositiveFloat = Field(0.01, description="of the mean variance of the channels")
    band_hz: Band = Field((250.0, 5000.0), description="in which crossings are looked for")
    spike_band_hz: Band = Field((300.0, 1000.0), description="whose mean rectified value is spike-band power")
    filter_order: PositiveInt = 2
    threshold: float = Field(-4.5, description="in robust deviations of the channel's noise; below 0: negative-going")
    refractory_ms: PositiveFloat = 1.0
    adapt_s: PositiveFloat = Field(10.0, description="time constant with which the noise is followed")
    blank_share: Fraction = Field(0.3, description="so many channels beyond threshold at once are an artifact")
    blank_ms: PositiveFloat = Field(2.0, description="what an artifact spoils")
    transform: Literal["none", "sqrt"] = Field("none", description="of the number of crossings")

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        _check_bands((self.band_hz, self.spike_band_hz))
        if abs(self.threshold) < 1.0:
            raise ValueError("threshold must be at least 1 deviation away from 0")
        if 0.0 < self.regression_every_s <= self.regression_s:
            raise ValueError("regression_every_s must be longer than regression_s, or 0")
        return self

    @property
    def highest_hz(self) -> float:
        """Highest frequency that is filtered for."""
        return max(self.band_hz[1], self.spike_band_hz[1])


Features: TypeAlias = Rates | BandPower | Spikes


class ExtraStream(Stream):
    """A further stream whose features stand beside those of the main one, on its bin grid."""

    wait_ms: float = Field(50.0, gt=0, le=100.0, description="a bin waits at most so long for this stream")
    features: Features = Field(discriminator="kind")


def _check_bands(bands_hz: tuple[Band, ...]) -> None:
    for low, high in bands_hz:
        if not low < high:
            raise ValueError(f"band [{low}, {high}] must go from low to high")


class Decoder(Section):
    """From features to intended velocity: direction is fitted, smoothing and gain are set."""

    outputs: tuple[str, ...] = Field(min_length=1, max_length=10, description="one name per decoded velocity")
    kind: str = Field(
        "velocity", description="what `bci fit` fits: velocity, kalman (with memory), or one that a package brings"
    )
    tau_ms: PositiveFloat = Field(120.0, description="smoothing: time constant of the decoded velocity")
    beta: PositiveFloat = Field(0.7, description="gain: speed at full effort, in output units per second")
    speed_threshold: PositiveFloat = Field(0.4, description="effort that the speed power leaves as it is")
    speed_power: float = Field(1.0, ge=1.0, le=2.0, description="above 1: slow efforts slower, fast ones faster")
    bias_tau_s: PositiveFloat | None = Field(
        None, description="time constant of the bias that is subtracted; for targets in all directions"
    )
    state: Literal["velocity", "position_velocity"] = Field(
        "velocity", description="whether features follow the position too, which the person sees and the decoder knows"
    )
    noise: Literal["full", "diagonal", "low_rank"] = Field(
        "full", description="form of the observation noise; the others for many hundreds of features"
    )
    ridge: float = Field(1e-3, ge=0)
    shrinkage: Fraction = Field(0.1, description="of the observation noise toward its diagonal")
    discrete: Discrete | None = Field(None, description="click, hold and rest; absent: velocity only")


class Adaptation(Section):
    """Recursive maximum likelihood while labels are known."""

    half_life_start_s: PositiveFloat = 30.0
    half_life_s: PositiveFloat = 120.0
    anneal_s: PositiveFloat = 120.0


class Training(Section):
    """How a recording tells what was meant: measured kinematics, or cues mapped to intended velocities."""

    lead_bins: int = Field(0, ge=0, le=50, description="features are paired with the kinematics this many bins later")
    cues: dict[str, tuple[float, ...]] = Field({}, description="marker text to intended velocity, one per output")
    states: dict[str, State] = Field({}, description="marker text to discrete state: idle, move, click or hold")
    reaction_ms: float = Field(500.0, ge=0, description="ignored after each cue")
    hold_ms: PositiveFloat = Field(4000.0, description="a cue lasts at most this long")
    repeat_ends: bool = Field(False, description="the same cue a second time ends what it began")


class Profile(Section):
    """One participant's set-up: stream, features, decoder, training, device."""

    schema_version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9_]+$")
    description: str = ""
    model: str = Field("", description="model file of an earlier fit, relative to the profile; empty: none yet")
    stream: Stream
    features: Features = Field(discriminator="kind")
    extra_streams: tuple[ExtraStream, ...] = ()
    decoder: Decoder
    adaptation: Adaptation = Adaptation()
    training: Training = Training()
    device: Device
    devices: tuple[Device, ...] = Field((), description="further devices; one stop stops all")
    sinks: tuple[Sink, ...] = ()
    stop_key: str = Field("", description="path of a key device, such as a foot switch: each of its keys stops")

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        problems = [problem for device in self.all_devices for problem in self._problems_of(device)]
        names = [device.name for device in self.all_devices]
        if len(set(names)) < len(names):
            problems.append(f"devices: the names {names} must differ")
        problems += [
            f"training.cues.{cue}: needs {len(self.decoder.outputs)} values, one per decoder output"
            for cue, v_int in self.training.cues.items()
            if len(v_int) != len(self.decoder.outputs)
        ]
        problems += _feature_problems("features", self.features, self.stream.rate_hz)
        for i, extra in enumerate(self.extra_streams):
            problems += _feature_problems(f"extra_streams.{i}.features", extra.features, extra.rate_hz)
            if extra.features.bin_ms != self.features.bin_ms:
                problems.append(f"extra_streams.{i}.features.bin_ms: must be that of the main stream's features")
            if _learns_filters(extra.features):
                problems.append(f"extra_streams.{i}.features.csp_pairs: only the main stream learns spatial filters")
        names = [self.stream.name, *(extra.name for extra in self.extra_streams)]
        if len(set(names)) < len(names):
            problems.append("extra_streams: each stream needs a name of its own")
        if _learns_filters(self.features) and len(set(self.training.cues.values())) < 2:
            problems.append("features.csp_pairs: spatial filters are learned from at least 2 different training.cues")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of(self, device: Device) -> list[str]:
        outputs = self.decoder.outputs
        used = [("maps", m.intent) for m in device.maps]
        used += [("frame.intents", name) for name in (device.frame.intents if device.frame is not None else ())]
        return [
            f"device.{field}: '{name}' is not one of decoder.outputs {list(outputs)}"
            for field, name in used
            if name not in outputs
        ]

    @property
    def all_devices(self) -> tuple[Device, ...]:
        """The device, and the further ones."""
        return (self.device, *self.devices)

    @property
    def bin_samples(self) -> int:
        """Samples of the stream in one bin."""
        return round(self.features.bin_ms * self.stream.rate_hz / 1000.0)

    @property
    def hash(self) -> str:
        """SHA-256 of the whole profile, in hexadecimal."""
        return _digest(self.model_dump(mode="json"))

    @property
    def features_hash(self) -> str:
        """SHA-256 of what decides the meaning of a feature: the channels, the rate and the feature settings."""
        meaning: dict[str, object] = _meaning(self.stream, self.features)
        if self.extra_streams:
            meaning["extra_streams"] = [_meaning(extra, extra.features) for extra in self.extra_streams]
        return _digest(meaning)


def _feature_problems(where: str, features: Features, rate_hz: float) -> list[str]:
    problems = []
    bin_samples = features.bin_ms * rate_hz / 1000.0
    if abs(bin_samples - round(bin_samples)) > 1e-6 or round(bin_samples) < 1:
        problems.append(
            f"{where}.bin_ms: {features.bin_ms:g} ms at {rate_hz:g} Hz is {bin_samples:g} samples; it must be a whole "
            "number of at least 1"
        )
    if features.highest_hz >= rate_hz / 2:
        problems.append(f"{where}: {features.highest_hz:g} Hz is not below half the sampling rate ({rate_hz / 2:g} Hz)")
    return problems


def _learns_filters(features: Features) -> bool:
    return isinstance(features, BandPower) and features.csp_pairs > 0


def _meaning(stream: Stream, features: Features) -> dict[str, object]:
    """What a feature means does not depend on who watches over the channels."""
    return {
        "stream": stream.model_dump(mode="json", include={"channels", "rate_hz", "unit"}),
        "features": features.model_dump(mode="json", exclude={"quality"}),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def load_profile(path: Path) -> Profile:
    """Read and check a profile.

    Raises
    ------
    ProfileError
        When the file is absent, is not TOML, or has wrong fields: all of them are listed with their paths.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"Profile {path} cannot be read: {error.strerror}.", "Check the path.") from error
    try:
        text = data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProfileError(
            f"Profile {path} is not UTF-8 text: line {line} holds the byte 0x{data[error.start]:02x}.",
            "Save it as UTF-8 in your editor.",
        ) from error
    return parse_profile(text.replace("\r\n", "\n").replace("\r", "\n"), str(path))


def parse_profile(text: str, origin: str) -> Profile:
    """Read and check a profile from TOML text; `origin` is how errors name it.

    Raises
    ------
    ProfileError
        When the text is not TOML or has wrong fields: all of them are listed with their paths.
    """
    try:
        return Profile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"Profile {origin} is not valid TOML: {error}.", "Mend that line.") from error
    except ValidationError as error:
        lines = [f"  {_path(item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ProfileError(
            f"Profile {origin} has {len(lines)} wrong field(s):\n" + "\n".join(lines) + "\n",
            "The fields are described in docs/reference/profile.md.",
        ) from error


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "profile"
