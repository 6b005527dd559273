"""The fault table: what is broken, what must happen, within what time; and what the tests measured."""

from __future__ import annotations

from dataclasses import dataclass, field

LEAST_TRIALS = 20  # behind every time that is claimed


@dataclass(frozen=True)
class Fault:
    """One row: the bound holds from the injection to the last effect at the device; None where no time is claimed."""

    injection: str
    expected: str
    bound_ms: float | None = None


FAULTS = {
    "F1": Fault("driver or host process killed", "the device's lease stops it, then disarms", 150),
    "F2": Fault("host process frozen, later continued", "the same; nothing moves again without arming", 150),
    "F3": Fault("30 set-points held for 600 ms, released at once", "all dropped as late"),
    "F4": Fault("decoder hangs, its other threads alive", "the guardian holds and stops the device", 150),
    "F5": Fault("guardian killed", "the device's lease stops it", 200),
    "F6": Fault("signal stream ends, or the network", "hold, then disarmed; no backlog is replayed", 270),
    "F7": Fault("clock jumps by 10 s, samples twice or late", "ignored or hold; no step of velocity"),
    "F8": Fault("NaN, infinity, 1e308, denormal, constant, saturated", "nothing of it leaves the decoder", 20),
    "F9": Fault("another channel count, rate or type on the way", "stops as in F6; moves nothing again; says why"),
    "F10": Fault("serial cable pulled", "stops by its lease, FAULT; opened again it is not armed", 150),
    "F11": Fault("device restarted", "frames of the old session rejected; disarmed"),
    "F12": Fault("firmware hangs", "hardware watchdog, enable pin low", 120),
    "F13": Fault("a port that takes no bytes", "write time-out; the guardian goes on", 150),
    "F14": Fault("noise, endless streams, zeros, ones", "none accepted; the next frame is understood"),
    "F15": Fault("flipped bits", "none accepted; 1 % does not interrupt, many are a fault"),
    "F16": Fault("repeated, reordered, replayed frames", "dropped and counted"),
    "F17": Fault("half a frame, then silence", "held by the lease; the next frame is understood"),
    "F18": Fault("a set-point out of range", "clamped, and told"),
    "F19": Fault("stop with a wrong session and an old number", "latched until reset at the device", 20),
    "F20": Fault("stuck servo", "FAULT: following error", 400),
    "F21": Fault("a servo is gone from the bus", "hold; the others wait at most 5 ms for it", 150),
    "F22": Fault("a servo reports overload or heat, a gripper a fault", "FAULT with its code", 60),
    "F23": Fault("an answer to the request before", "never taken for the present position"),
    "F24": Fault("a corrupt position whose checksum is right", "discarded; three in a row are a fault"),
    "F25": Fault("no processor time: busy machine, pause of 200 ms", "held by the lease, no burst after", 150),
    "F26": Fault("disk full, log cannot be written", "goes on; does not arm again"),
    "F27": Fault("a second process opens the port, or arms", "refused"),
    "F28": Fault("profile edited while armed, limits raised", "without effect until disarmed and checked again"),
    "F29": Fault("Ctrl-C, SIGTERM, exception, interpreter exit", "stop bytes in 50 ms; else the lease", 150),
    "F30": Fault("0.1 % random faults for an hour", "nothing moves after a fault that is latched; memory flat"),
    "F31": Fault("the source keeps sending the same, or one signal on all", "hold, and it says so", 200),
    "F32": Fault("a stop while the guardian is away and intents fill its queue", "STOP, latched, each time"),
    "F33": Fault(
        "the operator's console frozen, or its terminal not read", "hold in half a second, then disarmed", 700
    ),
    "F34": Fault("Ctrl-Z, Ctrl-S, space in a terminal not read", "the key disarms or stops; Ctrl-S harms no key", 150),
    "F35": Fault("a device moves although nobody asked it to", "FAULT in every state; told again to stand", 400),
    "F36": Fault("the computer is suspended while a device moves", "disarmed at the first turn; nothing goes on", 400),
    "F37": Fault("a bus is deaf for 120 ms when it is told to end", "told until it hears; else a latched alarm", 300),
    "F38": Fault("200 intents a second, at once at full, at a stimulator", "its own frequency, ramp and charge"),
}


@dataclass
class Result:
    """What one row's tests found."""

    worst_ms: float | None = None
    n_trials: int = 0
    tests: list[str] = field(default_factory=list)
    failed: bool = False
    skipped: bool = False

    @property
    def verdict(self) -> str:
        """One word."""
        if self.failed:
            return "FAILED"
        return "not tested" if self.skipped or not self.tests else "holds"


def lines(results: dict[str, Result]) -> list[str]:
    """The table as Markdown, one row per fault."""
    rows = ["| | fault | must | bound ms | worst ms | trials | verdict |", "|---|---|---|---|---|---|---|"]
    for name, fault in FAULTS.items():
        result = results.get(name, Result())
        bound = "" if fault.bound_ms is None else f"{fault.bound_ms:g}"
        worst = "" if result.worst_ms is None else f"{result.worst_ms:.1f}"
        trials = str(result.n_trials or "")
        cells = (name, fault.injection, fault.expected, bound, worst, trials, result.verdict)
        rows.append(f"| {' | '.join(cells)} |")
    return rows
