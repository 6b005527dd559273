"""Where the device stands, as the decoder counts it."""

from __future__ import annotations

import numpy as np

from bci.profile import Profile
from bci.types import Array
from drivers.guardian.mapping import rotation


class Workspace:
    """From device axes to workspace units, one value per decoder output: the profile's mapping, backwards."""

    def __init__(self, profile: Profile) -> None:
        self.outputs = profile.decoder.outputs
        self._axis_of: dict[str, tuple[str, float, float]] = {}
        self._turn = np.eye(len(self.outputs))
        for i, device in enumerate(profile.all_devices):
            for m in device.maps:
                label = m.axis if i == 0 else f"{device.name}.{m.axis}"
                self._axis_of.setdefault(m.intent, (label, m.gain, m.offset))
            if device.frame is not None:
                where = [self.outputs.index(name) for name in device.frame.intents]
                self._turn[np.ix_(where, where)] = rotation(device.frame.rotation_deg)

    def position(self, axes: tuple[str, ...], positions: tuple[float, ...]) -> Array:
        """Where the device stands; an output that moves no axis stays at 0."""
        by_axis = dict(zip(axes, positions, strict=True))
        turned = np.zeros(len(self.outputs))
        for i, output in enumerate(self.outputs):
            if output in self._axis_of:
                axis, gain, offset = self._axis_of[output]
                turned[i] = (by_axis[axis] - offset) / gain
        where: Array = self._turn.T @ turned
        return where
