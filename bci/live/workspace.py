"""Where the device stands, as the decoder counts it."""

from __future__ import annotations

import numpy as np

from bci.profile import Profile
from bci.types import Array


class Workspace:
    """From device axes to workspace units, one value per decoder output: the profile's mapping, backwards."""

    def __init__(self, profile: Profile) -> None:
        self.outputs = profile.decoder.outputs
        self._axis_of = {m.intent: (m.axis, m.gain) for m in profile.device.maps}

    def position(self, axes: tuple[str, ...], positions: tuple[float, ...]) -> Array:
        """Where the device stands; an output that moves no axis stays at 0."""
        by_axis = dict(zip(axes, positions, strict=True))
        where = np.zeros(len(self.outputs))
        for i, output in enumerate(self.outputs):
            if output in self._axis_of:
                axis, gain = self._axis_of[output]
                where[i] = by_axis[axis] / gain
        return where
