"""Simulated peers over real LSL, in processes of their own, as any session on this machine meets them."""

import subprocess
import sys
import time

import numpy as np
import pytest
from pylsl import local_clock

from bci.configs import find_profile
from bci.errors import ProfileError, StreamError
from bci.profile import load_profile
from bci.simulation.drift import Drift
from bci.streams.inlet import Inlet
from bci.streams.latest import LatestSamples
from bci.streams.outlet import open_outlet

pytestmark = pytest.mark.timeout(120)
WORLD = ("grasp", "vx", "target_grasp", "target_vx", "active", "assist")
N_MUSCLES = 5


@pytest.fixture
def peers(tmp_path):
    """An amplifier of the EMG profile and a participant; they end with the test, and must have ended well."""
    profile = tmp_path / "emg.toml"
    text = find_profile("emg_openbci").read_text(encoding="utf-8")
    profile.write_text(
        text.replace('"obci_eeg1"', f'"emg-{tmp_path.name}"').replace("n_channels = 8", "n_channels = 10")
    )
    commands = [
        ("amplifier", str(profile), "--seed", "3", "--drift", "dropouts_per_min=30"),
        ("participant",),
    ]
    running = [
        subprocess.Popen([sys.executable, "-m", "bci", "simulate", *arguments], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for arguments in commands
    ]  # fmt: skip
    yield load_profile(profile), f"world-{tmp_path.name}"
    for process in running:
        process.terminate()
    said = [process.communicate(timeout=20) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert "Watching 'world-" in said[1][0]
    assert "emg, 10 channels at 250 Hz" in said[0][0]


def test_what_a_world_asks_for_is_meant_by_the_participant_and_seen_by_the_amplifier(peers):
    profile, world_id = peers
    world = open_outlet("bci.world", "World", WORLD, ["1"] * len(WORLD), world_id)
    efforts = LatestSamples("simulated-effort")
    meant, levels, lost = [], {}, 0
    stream = profile.stream.model_copy(update={"markers": ""})

    def show(world, inlet, target, is_active, seconds):
        """Show a hand in the middle and a target; return the root mean square of each electrode meanwhile."""
        nonlocal lost
        rows, end_s = [], time.monotonic() + seconds
        while time.monotonic() < end_s:
            world.push_sample([0.5, 0.5, *target, is_active, 0.0], local_clock())
            for chunk in inlet.pull(0.02):
                rows.append(chunk.samples)
                lost += chunk.n_lost
            meant.extend(values for _, values in efforts.pull())
        samples = np.vstack(rows)
        return np.sqrt(np.mean(samples[len(samples) // 2 :] ** 2, axis=0))

    with Inlet(stream, wait_s=60) as inlet:
        deadline = time.monotonic() + 60
        while not (efforts.is_open and world.have_consumers()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        levels["rest"] = show(world, inlet, (0.5, 0.5), False, 2.0)
        meant.clear()
        levels["grasp"] = show(world, inlet, (0.9, 0.5), True, 2.5)
        assert efforts.labels == ("grasp", "vx", "squeeze")
        last = np.array(meant[-20:])
        levels["again"] = show(world, inlet, (0.5, 0.5), False, 2.0)
    del world
    following = open_outlet("bci.world", "World", WORLD, ["1"] * len(WORLD), f"{world_id}-next")
    deadline = time.monotonic() + 30
    while not any(values[1] < -0.5 for _, values in efforts.pull()):
        assert time.monotonic() < deadline, "the participant did not take part in the next session"
        following.push_sample([0.5, 0.5, 0.5, 0.1, 1.0, 0.0], local_clock())
        time.sleep(0.02)
    efforts.close()
    assert last[:, 0].min() > 0.5
    assert np.abs(last[:, 1:]).max() < 1e-6
    own = np.arange(10) % N_MUSCLES == 0
    assert (levels["grasp"] / levels["rest"])[own].min() > 5.0
    assert (levels["grasp"] / levels["rest"])[~own].max() < 4.0
    assert (levels["again"] / levels["rest"]).max() < 1.5
    assert lost >= 10  # a dropout is a tenth of a second, at 250 Hz


def test_a_wrong_setting_is_named_together_with_those_that_there_are():
    from bci.console.simulate import settings_of

    assert settings_of(Drift, "time_lapse=5, bursts_per_min=2", "--drift") == Drift(time_lapse=5.0, bursts_per_min=2.0)
    assert settings_of(Drift, "", "--drift") == Drift()
    for wrong in ("speed=3", "wander", "wander=-1", "wander=nan", "wander=x"):
        with pytest.raises(ProfileError, match=r"--drift: .* not understood.*names are time_lapse, wander"):
            settings_of(Drift, wrong, "--drift")


def test_a_world_of_another_layout_is_refused():
    from bci.console.simulate import outputs_of

    class Other:
        source_id, labels = "x", ("a", "b")

    class World:
        source_id, labels = "y", WORLD

    with pytest.raises(StreamError, match="shows no positions and targets"):
        outputs_of(Other())
    assert outputs_of(World()) == ("grasp", "vx")
