"""What every driver must do, checked on its twin or on a real device: `bci driver-test`.

Third parties run it on their own entry point. Each trial is one function that returns what it found, in words, or
raises `Failed`; the order is from what needs no device to what moves one.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bci.errors import DeviceError
from drivers.base import OFF, PREPARED, Axis, Driver
from drivers.trial.bench import LEASE_S, MARGIN_S, PERIOD_S, PREPARE_S, Failed, Subject, start

OPEN_S = 3.0
PUSH = 0.05  # of an axis's range


@dataclass(frozen=True, slots=True)
class Result:
    """One trial: passed, failed, or not tried, and why."""

    trial: str
    verdict: str
    found: str


def examine(driver: Driver, section: Mapping[str, Any], port: str, may_move: bool) -> Iterator[Result]:
    """Run every trial, one after the other.

    Parameters
    ----------
    driver : Driver
        What the entry point names.
    section : mapping
        Its device section: axes and options.
    port : str
        A serial port, or ``twin``.
    may_move : bool
        Whether trials that move the device are run.
    """
    subject = Subject(driver, {"name": "test", "baud": driver.declaration.baud, **section, "port": port})
    yield _run("declaration", lambda: check_declaration(driver))
    for i, codec in enumerate(getattr(driver, "codecs", ())):
        for words, on_codec in (("round trip", check_round_trip), ("flips", check_flips), ("garbage", check_garbage)):
            yield _run(f"codec {i + 1}, {words}", partial(on_codec, codec))
    with contextlib.ExitStack() as stack:
        started = _run("port", lambda: start(subject, stack))
        yield started
        if started.verdict != "passed":
            return
        for title, trial, moves in TRIALS:
            if moves and not may_move:
                yield Result(title, "not tried", "it would move the device; --move allows it")
            else:
                result = _run(title, partial(trial, subject))
                yield result
                if subject.host is None and title == "greeting":
                    return  # nobody is there to be tried
    if port == "twin":
        yield _run("device that vanishes", lambda: check_loss(subject))


def check_declaration(driver: Driver) -> str:
    """Name, speed, safe state, lease and watchdog are told, and credible."""
    d = driver.declaration
    if not d.name or d.baud < 0 or d.safe_state not in ("hold", "limp", "silent"):
        raise Failed(f"name, baud or safe_state is not told: {d}")
    if not 0 < d.lease_max_ms <= 200:
        raise Failed(f"a lease of {d.lease_max_ms} ms is not within 1 to 200 ms")
    if not d.watchdog:
        raise Failed("it does not say in words what its watchdog can and cannot do")
    return (
        f"safe state {d.safe_state}, lease at most {d.lease_max_ms} ms, watchdog: {'yes' if d.has_watchdog else 'no'}"
    )


def check_round_trip(codec: Any) -> str:
    """What is sent is what is received, also between other frames."""
    for example in codec.examples:
        wire = codec.encode(example)
        if list(codec.decode(wire)) != [example] or list(codec.decode(wire + wire))[:1] != [example]:
            raise Failed(f"{example} does not come back")
    return f"{len(codec.examples)} messages"


def check_flips(codec: Any) -> str:
    """So many flipped bits as the driver promises are noticed, in 3000 frames."""
    source = random.Random(1)
    for _ in range(3000 if codec.n_flips else 0):
        example = source.choice(codec.examples)
        wire = bytearray(codec.encode(example))
        for bit in source.sample(range(8 * len(wire)), source.randint(1, codec.n_flips)):
            wire[bit // 8] ^= 1 << bit % 8
        if any(len(codec.encode(message)) == len(wire) for message in codec.decode(bytes(wire))):
            raise Failed(f"{bytes(wire).hex(' ')} was accepted")
    return f"up to {codec.n_flips} noticed" if codec.n_flips else "no checksum on this way"


def check_garbage(codec: Any) -> str:
    """Nothing that comes raises."""
    source = random.Random(2)
    for _ in range(2000):
        codec.decode(source.randbytes(source.randrange(80)))
    return "2000 times"


def check_greeting(subject: Subject) -> str:
    """Opening greets within 3 s, gives no power, and moves nothing."""
    before = subject.touch("look").positions if subject.twin is not None else ()
    begun_s = time.monotonic()
    subject.host = subject.driver.open(subject.section)
    took_s = time.monotonic() - begun_s
    if took_s > OPEN_S:
        raise Failed(f"it took {took_s:.1f} s")
    for _ in range(50):
        subject.run(PERIOD_S, subject.host.watch)
        if subject.host.report is not None:
            break
    if subject.host.phase != OFF:
        raise Failed(f"it opens in phase '{subject.host.phase}'")
    if before and subject.has_moved(before, subject.positions()):
        raise Failed("it moved")
    if subject.twin is not None and any(subject.touch("look").powers):
        raise Failed("the device has power")
    return f"{1e3 * took_s:.0f} ms, {len(subject.host.axes)} axes"


def check_axes(subject: Subject) -> str:
    """Axes have names, bounds, speeds and accelerations that make sense."""
    axes = subject.opened().axes
    for axis in axes:
        if not _is_sane(axis):
            raise Failed(f"{axis}")
    if len({axis.name for axis in axes}) < len(axes) or not axes:
        raise Failed("names repeat themselves, or there is no axis")
    return ", ".join(f"{axis.name} [{axis.unit}]" for axis in axes)


def check_without_power(subject: Subject) -> str:
    """Set-points without power move nothing, and preparing gives none."""
    host, before = subject.opened(), subject.positions()
    subject.drive(0.3, 0.5)
    host.prepare(subject.lease_s, time.monotonic())
    subject.reach(PREPARED, PREPARE_S)
    subject.drive(0.3, 0.5)
    if subject.has_moved(before, subject.positions()):
        raise Failed("it moved without having been armed")
    if subject.twin is not None and any(subject.touch("look").powers):
        raise Failed("the device has power, and nobody has armed it")
    return "set-points before preparing and before arming: nothing moved"


def check_arming(subject: Subject) -> str:
    """Preparing and arming end in power, with every check in words."""
    begun_s = time.monotonic()
    subject.arm()
    checks = subject.opened().checks
    if not checks or not all(check.subject and check.found for check in checks):
        raise Failed("its checks do not say what was found")
    return f"{len(checks)} checks in {time.monotonic() - begun_s:.1f} s"


def check_motion(subject: Subject) -> str:
    """Set-points move it, and are acknowledged."""
    subject.arm()
    subject.move(0.6, 0.5)
    host = subject.opened()
    if host.acknowledged < 0:
        raise Failed("no set-point was acknowledged")
    return f"set-point {host.acknowledged} acknowledged"


def check_silence(subject: Subject) -> str:
    """Set-points cease although the host lives and asks: motion ends by itself."""
    subject.arm()
    subject.move(0.3, 0.5)
    silent_s = time.monotonic()
    subject.run(1.0, subject.opened().watch)
    return _stopped(subject, silent_s, subject.driver.declaration.lease_max_ms / 1e3)


def check_death(subject: Subject) -> str:
    """The host vanishes in mid-motion, as when it is killed: motion ends by itself, within the promised lease."""
    subject.arm()
    subject.move(0.3, 0.5)
    silent_s = time.monotonic()
    subject.opened().close()
    time.sleep(1.0)
    subject.host = None
    subject.host = subject.driver.open(subject.section)
    if subject.trace is None:
        subject.run(0.5, subject.host.watch)
        first = subject.positions()
        subject.run(0.5, subject.host.watch)
        if subject.has_moved(first, subject.positions()):
            raise Failed("it still moved 1.5 s after the host was gone")
        return "still when looked at again after 1.5 s"
    return _stopped(subject, silent_s, subject.driver.declaration.lease_max_ms / 1e3)


def check_order(order: str, subject: Subject) -> str:
    """Standing, stopping and disarming: said at once, end motion before a lease would, and may be repeated."""
    subject.lease_s = subject.driver.declaration.lease_max_ms / 1e3
    try:
        subject.arm()
        subject.move(0.3, 0.5)
        host = subject.opened()
        ordered_s = time.monotonic()
        _give(subject, order)
        getattr(host, order)(time.monotonic())
        subject.run(0.6, host.watch)
        found = _stopped(subject, ordered_s, 0.0)
        if subject.twin is not None:
            _check_after(subject, order)
            if host.declaration.has_feedback:
                _check_held(subject, order)
        return found
    finally:
        subject.release()
        subject.lease_s = LEASE_S


def _give(subject: Subject, order: str) -> None:
    """An order must reach the device at once; only a stimulator stands by hearing nothing more."""
    host = subject.opened()
    n_heard = subject.touch("look").heard if subject.twin is not None else -1
    getattr(host, order)(time.monotonic())
    subject.run(PERIOD_S)
    is_silence = order == "stand" and host.declaration.safe_state == "silent"
    if subject.twin is not None and not is_silence and subject.touch("look").heard == n_heard:
        raise Failed("the device was told nothing")


def _check_after(subject: Subject, order: str) -> None:
    """Power and place after an order are those of the safe state, also when somebody pushes."""
    host, true = subject.opened(), subject.touch("look")
    state = host.declaration.safe_state
    if order != "stand":
        if state != "hold" and any(true.powers):
            raise Failed(f"the safe state is '{state}', and the device has power")
        subject.drive(0.3, 0.5)
        if subject.has_moved(true.positions, subject.positions()):
            raise Failed("set-points moved it again")
    elif not all(true.powers):
        raise Failed("the device has lost its power")
    if state == "silent" or not host.declaration.has_feedback:
        return
    subject.touch(f"push {PUSH}")
    longest_s = max((axis.upper - axis.lower) / axis.max_speed for axis in host.axes)
    subject.run(0.3 + 2.0 * PUSH * longest_s, host.watch)
    is_away = subject.has_moved(true.positions, subject.positions(), PUSH / 2)
    if is_away != (state == "limp" and order != "stand"):
        raise Failed("it gave way when it was pushed" if is_away else "it is not limp when it is pushed")


def _check_held(subject: Subject, order: str) -> None:
    """Somebody holds the device, it is driven, it is told the order, and let go: what was left undone stays undone."""
    subject.release()
    subject.arm()
    subject.touch("hold")
    subject.drive(0.3, 0.5)
    before = subject.positions()
    _give(subject, order)
    subject.run(0.2, subject.opened().watch)
    subject.touch("release")
    subject.run(0.5, subject.opened().watch)
    if subject.has_moved(before, subject.positions()):
        raise Failed("it went on when it was let go")


def check_nonsense(subject: Subject) -> str:
    """A section that does not fit is refused in words, never with a traceback."""
    for section in ({"options": {"no_such_option": 1}}, {"port": "/dev/no-such-port"}):
        try:
            subject.driver.open({**subject.section, **section}).close()
        except DeviceError:
            continue
        if "port" in section:
            raise Failed("a port that does not exist was opened")
        if getattr(subject.driver, "build", None) is not None:
            raise Failed("an option that does not exist was taken")
    return "unknown port and unknown option are refused"


def check_loss(subject: Subject) -> str:
    """The port vanishes: DeviceError, no other exception, and soon."""
    with contextlib.ExitStack() as stack:
        start(subject, stack)
        host = subject.host = subject.driver.open(subject.section)
        subject.run(0.2, host.watch)
        if subject.twin is not None:
            subject.twin.kill()
            subject.twin.wait()
        begun_s = time.monotonic()
        try:
            subject.run(1.0, host.watch)
        except DeviceError:
            return f"DeviceError after {1e3 * (time.monotonic() - begun_s):.0f} ms"
        finally:
            host.close()
    raise Failed("the host did not notice")


TRIALS: tuple[tuple[str, Callable[[Subject], str], bool], ...] = (
    ("sections that do not fit", check_nonsense, False),
    ("greeting", check_greeting, False),
    ("axes", check_axes, False),
    ("no power, no motion", check_without_power, True),
    ("preparing and arming", check_arming, True),
    ("motion", check_motion, True),
    ("set-points cease", check_silence, True),
    ("standing", partial(check_order, "stand"), True),
    ("disarming", partial(check_order, "disarm"), True),
    ("stopping", partial(check_order, "stop"), True),
    ("host is killed", check_death, True),
)


def _run(title: str, trial: Callable[[], str]) -> Result:
    try:
        return Result(title, "passed", trial())
    except (Failed, DeviceError) as error:
        return Result(title, "failed", str(error))
    except Exception as error:  # a driver on trial may raise anything; that is a result
        return Result(title, "failed", f"{type(error).__name__}: {error}")


def _stopped(subject: Subject, since_s: float, lease_s: float) -> str:
    """How long the device went on after a moment; raises when that was longer than its lease, braking, and a margin."""
    axes, watch = subject.opened().axes, subject.opened().watch
    braking_s = max(axis.max_speed / axis.max_acceleration for axis in axes)
    promised_s = (lease_s or braking_s) + braking_s + MARGIN_S  # an order may also lead back to where it was given
    if subject.trace is None:
        subject.run(max(0.1, since_s + promised_s - time.monotonic()), watch)  # at least until it reports again
        before, looked_s = subject.positions(), time.monotonic()
        subject.run(0.3, watch)
        words = f"when looked at after {1e3 * (looked_s - since_s):.0f} ms ({1e3 * promised_s:.0f} ms promised)"
        if subject.has_moved(before, subject.positions()):
            raise Failed(f"it moved {words}")
        return f"it stood {words}"
    subject.run(0.1, watch)  # until the twin has written it all
    seen = subject.rows(since_s)
    moving = [row[0] for row in seen if subject.has_moved(row[1:], seen[-1][1:])]
    went_on_s = max(moving, default=since_s) - since_s
    if went_on_s > promised_s:
        raise Failed(f"it went on for {1e3 * went_on_s:.0f} ms; {1e3 * promised_s:.0f} ms were promised")
    return f"it stood after {1e3 * went_on_s:.0f} ms ({1e3 * promised_s:.0f} ms promised)"


def _is_sane(axis: Axis) -> bool:
    numbers = (axis.lower, axis.upper, axis.max_speed, axis.max_acceleration)
    return (
        0 < len(axis.name) <= 8
        and len(axis.unit) <= 8
        and all(map(math.isfinite, numbers))
        and axis.lower < axis.upper
        and axis.max_speed > 0.0
        and axis.max_acceleration > 0.0
    )
