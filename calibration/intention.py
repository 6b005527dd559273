"""What a participant means while a target is shown: straight to it, with effort that fades near it."""

from __future__ import annotations

import numpy as np

from bci.types import Array

NEAR = 0.12  # workspaces; effort falls off inside it (Willett 2017: f_targ falls only close to the target)
REACTION_S = 0.25  # excluded after a target appears (simple visual reaction time)


def intended_velocity(position: Array, target: Array, is_active: bool) -> Array:
    """Intended velocity of one moment.

    Parameters
    ----------
    position, target : Array
        Shape (k,), workspace units.
    is_active : bool
        False at rest: the intention is zero.

    Returns
    -------
    Array
        Shape (k,); length 1 is full effort, less within `NEAR` of the target, zero on it.

    Notes
    -----
    The position-error label with saturating effort. Labels of other policies give decoders whose direction differs
    by less than 5 % (Willett et al. 2018, IEEE TBME); gain and smoothing are set separately.
    """
    error = target - position
    distance = float(np.linalg.norm(error))
    if not is_active or distance == 0.0:
        return np.zeros_like(position)
    return error / distance * min(1.0, distance / NEAR)
