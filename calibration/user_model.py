"""How a person steers what a decoder moves: sees late, looks ahead, and pushes harder the further away the target is.

One bin of the model of Willett et al. (2017, Journal of Neural Engineering; 2019, Scientific Reports 9:8881): delayed
visual feedback, a forward model that carries it to the present, and a policy f_targ + f_vel on what it expects. The
sweep of gain and smoothing runs it, and so does every simulated participant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from bci.types import Array

# effort of participant T5 over the distance to the target, workspaces (Willett et al. 2019, figure 2)
EFFORT_DISTANCES = np.array([0.0, 0.0003, 0.0274, 0.1027, 0.1721, 0.2618, 0.3774, 0.5116, 0.6595, 0.8238, 0.9996])
EFFORTS = np.array([0.0, 0.0, 0.501, 0.603, 0.834, 0.835, 0.868, 0.908, 0.937, 1.03, 0.998])
MOST_AIMED_OFF = 0.5  # of full effort: the largest bias that a person steers against


@dataclass(frozen=True)
class UserModel:
    """A person's habits.

    Attributes
    ----------
    delay_s : float
        Of visual feedback.
    damping : float
        f_vel: effort against one full-effort speed of motion; 0 for a user who never brakes.
    believed_gain : float
        Gain that the forward model assumes, over the true one; 1 is a perfect model.
    bias_tau_s : float or None
        Time constant with which a constant push of the decoder is learned and steered against; None: never.
    fatigue : float
        Share of the effort that is lost when tired out.
    fatigue_tau_s : float
        Time constant of getting tired at full effort, and of recovering at rest.
    """

    delay_s: float = 0.2
    damping: float = 0.0
    believed_gain: float = 1.0
    bias_tau_s: float | None = None
    fatigue: float = 0.0
    fatigue_tau_s: float = 600.0


class Policy(NamedTuple):
    """A user model for one plant, as the kernel takes it: v' = alpha v + (1 - alpha) beta u, p' = p + bin_s v'."""

    bin_s: float
    alpha: float
    beta: float
    damping: float
    bias_rate: float
    fatigue: float
    fatigue_rate: float
    distances: Array
    efforts: Array


class Mind(NamedTuple):
    """What a user remembers; arrays, written in place by `act`.

    Attributes
    ----------
    seen : Array
        Shape (n_delay, 2 k): positions and velocities on their way to being seen, a ring.
    sent : Array
        Shape (n_delay, k): efforts of the last bins, a ring.
    inner : Array
        Shape (k + 1,): bias as it is believed to be, and tiredness.
    expected : Array
        Shape (2 k,): where the user believes to be now.
    clock : Array
        Integer, shape (1,): bins lived.
    """

    seen: Array
    sent: Array
    inner: Array
    expected: Array
    clock: Array


def make_policy(user: UserModel, bin_s: float, tau_s: float, beta: float) -> Policy:
    """What a user does with a decoder of smoothing `tau_s` and gain `beta` (workspaces per second)."""
    return Policy(
        bin_s=bin_s,
        alpha=math.exp(-bin_s / tau_s),
        beta=beta * user.believed_gain,
        damping=user.damping,
        bias_rate=0.0 if user.bias_tau_s is None else bin_s / user.bias_tau_s,
        fatigue=user.fatigue,
        fatigue_rate=bin_s / user.fatigue_tau_s,
        distances=EFFORT_DISTANCES,
        efforts=EFFORTS,
    )


def make_mind(user: UserModel, bin_s: float, position: Array) -> Mind:
    """A user who has seen nothing move yet, at `position` (k,)."""
    n, k = max(1, round(user.delay_s / bin_s)), len(position)
    at_rest = np.concatenate([np.asarray(position, dtype=np.float64), np.zeros(k)])
    return Mind(np.tile(at_rest, (n, 1)), np.zeros((n, k)), np.zeros(k + 1), at_rest.copy(), np.zeros(1, np.int64))


@njit(cache=True, nogil=True)
def effort_at(distance: float, distances: Array, efforts: Array) -> float:
    """f_targ: piecewise linear, constant beyond its end."""
    for i in range(1, len(distances)):
        if distance < distances[i]:
            share = (distance - distances[i - 1]) / (distances[i] - distances[i - 1])
            return float(efforts[i - 1] + share * (efforts[i] - efforts[i - 1]))
    return float(efforts[-1])


@njit(cache=True, nogil=True)
def act(policy: Policy, mind: Mind, position: Array, velocity: Array, target: Array, wants: bool, out: Array) -> None:
    """One bin of a user: take in what is shown now, write the effort of this moment.

    Parameters
    ----------
    policy, mind : Policy, Mind
        Habits, and memory in place.
    position, velocity : Array
        Shape (k,), of what is shown; seen only after the delay.
    target : Array
        Shape (k,).
    wants : bool
        False: at rest, or not yet reacting.
    out : Array
        Shape (k,), written; length 1 is full effort.
    """
    seen, sent, inner, expected = mind.seen, mind.sent, mind.inner, mind.expected
    n, k, t = len(sent), len(position), mind.clock[0]
    slot, gain = t % n, (1.0 - policy.alpha) * policy.beta
    following = (t + 1) % n if n > 1 else slot
    for i in range(k):
        expected[i], expected[k + i] = seen[slot, i], seen[slot, k + i]
        seen[slot, i], seen[slot, k + i] = position[i], velocity[i]
        if policy.bias_rate > 0.0:
            pushed = (seen[following, k + i] - policy.alpha * expected[k + i]) / gain - sent[slot, i]
            inner[i] += policy.bias_rate * (pushed - inner[i])
            inner[i] = min(max(inner[i], -MOST_AIMED_OFF), MOST_AIMED_OFF)
    for j in range(n):
        past = (t + j) % n
        for i in range(k):
            v = policy.alpha * expected[k + i] + gain * (sent[past, i] + inner[i])
            expected[k + i] = v
            expected[i] = min(max(expected[i] + policy.bin_s * v, 0.0), 1.0)
    squared = 0.0
    for i in range(k):
        squared += (target[i] - expected[i]) ** 2
    distance = math.sqrt(squared)
    scale = 0.0
    if wants and distance > 0.0:
        scale = effort_at(distance, policy.distances, policy.efforts) / distance
    spent = 0.0
    for i in range(k):
        out[i] = 0.0
        if wants:
            out[i] = scale * (target[i] - expected[i]) - policy.damping * expected[k + i] / policy.beta - inner[i]
            out[i] *= 1.0 - policy.fatigue * inner[k]
        spent += out[i] ** 2
        sent[slot, i] = out[i]
    spent = min(math.sqrt(spent), 1.0)
    inner[k] += policy.fatigue_rate * (spent * (1.0 - inner[k]) - (1.0 - spent) * inner[k])
    mind.clock[0] = t + 1
