"""A simulated amplifier in a process of its own: follows `bci.effort`, and publishes the stream of a profile."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from pylsl import local_clock

from bci.errors import SessionError
from bci.plan import Plan
from bci.process import StopFlag, run_in_session
from bci.profile import Profile
from bci.simulation.drift import Ageing, Drift
from bci.simulation.source import UNITS, Encoder, channel_labels, encoder_of, make_source
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from bci.streams.outlet import open_outlet
from bci.types import Array

BLOCK_S = 0.01  # of samples sent at once; a stream of features is sent bin by bin
SPREAD_S = 4.0  # of rest, from which the noise of each channel is known
FORGOTTEN_S = 0.5  # an effort as old as this is none
DROPOUT_S = 0.1
DEMO_DRIFT = Drift(time_lapse=5000.0)  # a minute of the demo turns the tuning as three and a half days do


class Amplifier:
    """The samples of a profile's stream: a participant's signals, through electrodes that age.

    Parameters
    ----------
    profile : Profile
        Its stream, features and outputs.
    encoder : str, optional
        Kind of signal; default: what the profile's features want.
    drift : Drift
        What changes meanwhile.
    clarity : float
        How clearly the signals tell the effort; 1 is a good participant.
    mains_hz : float
        50 or 60.
    seed : int
        Of everything random.

    Attributes
    ----------
    labels, unit : tuple of str, str
        Of the channels.
    n_samples, block_s : int, float
        Of one block as the amplifier sends it.
    """

    def __init__(
        self,
        profile: Profile,
        encoder: Encoder | None = None,
        *,
        drift: Drift | None = None,
        clarity: float = 1.0,
        mains_hz: float = 50.0,
        seed: int = 0,
    ) -> None:
        encoder, drift = encoder or encoder_of(profile), drift or Drift()
        stream, k = profile.stream, len(profile.decoder.outputs)
        signals, ageing = np.random.SeedSequence(seed).spawn(2)
        self.labels, self.unit = channel_labels(profile), stream.unit or UNITS[encoder]
        self.n_samples = max(1, round(BLOCK_S * stream.rate_hz))
        self.block_s = self.n_samples / stream.rate_hz
        self._rate_hz, self._is_counting = stream.rate_hz, encoder == "counts"
        self._source = make_source(
            profile, np.random.default_rng(signals), encoder, clarity=clarity, time_lapse=drift.time_lapse,
            mains_hz=mains_hz,
        )  # fmt: skip
        at_rest = self._source.samples(np.zeros(k + 1), round(SPREAD_S * stream.rate_hz))
        self._ageing = Ageing(drift, at_rest.std(axis=0), np.random.default_rng(ageing))

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n_channels), while the effort (k + 1,) holds."""
        samples = self._source.samples(effort, n_samples)
        self._ageing.apply(samples, n_samples / self._rate_hz)
        return np.maximum(np.round(samples), 0.0) if self._is_counting else samples


def amplify(
    profile: Profile,
    amplifier: Amplifier,
    efforts: LatestSamples,
    is_over: Callable[[], bool],
    *,
    dropouts_per_min: float = 0.0,
    seed: int = 0,
) -> None:
    """Publish at the profile's rate until it is over; without an effort the participant is at rest."""
    stream, n_efforts = profile.stream, len(profile.decoder.outputs) + 1
    outlet = open_outlet(
        stream.name, stream.type, amplifier.labels, [amplifier.unit] * len(amplifier.labels),
        stream.source_id or f"simulated-{profile.name}", rate_hz=stream.rate_hz,
    )  # fmt: skip
    chance, random = dropouts_per_min * amplifier.block_s / 60.0, np.random.default_rng(seed)
    effort, meant_s, lost_until_s = np.zeros(n_efforts), -np.inf, -np.inf
    stamp_s = local_clock()
    while not is_over():
        for at_s, values in efforts.pull():
            effort, meant_s = np.asarray(values, dtype=np.float64), at_s
        if stamp_s - meant_s > FORGOTTEN_S:
            effort = np.zeros(n_efforts)
        samples = amplifier.samples(effort, amplifier.n_samples)
        stamp_s += amplifier.block_s  # of the block's last sample
        time.sleep(max(0.0, stamp_s - local_clock()))
        if random.uniform() < chance:
            lost_until_s = stamp_s + DROPOUT_S
        if stamp_s >= lost_until_s:
            outlet.push_chunk(samples, stamp_s)


def run(plan: Plan, stop: StopFlag) -> None:
    """Publish in a session until told to stop."""
    if plan.demonstration is None:
        raise SessionError("This session has no simulated amplifier.", "Start it with `bci demo`.")
    configure(plan.lsl_scope, plan.lsl_session_id)
    amplifier = Amplifier(plan.profile, drift=DEMO_DRIFT, seed=plan.demonstration.seed)
    efforts = LatestSamples(f"bci-{plan.session_id}-effort")
    plan.ready_file("amplifier").touch()
    amplify(plan.profile, amplifier, efforts, stop.__bool__)
    efforts.close()


if __name__ == "__main__":
    run_in_session(run)
