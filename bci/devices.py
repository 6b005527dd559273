"""What a profile says of devices, and of the sinks that intents go to."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from bci.settings import Fraction, Section


class AxisMap(Section):
    """One term of the mapping: axis velocity += gain x intent velocity."""

    intent: str
    axis: str
    gain: float = Field(description="axis units per second, per output unit per second")
    offset: float = Field(0.0, description="where the axis stands when the output's own position is 0")

    @model_validator(mode="after")
    def _moves_something(self) -> Self:
        if self.gain == 0.0:
            raise ValueError("a gain of 0 moves nothing: leave the map out")
        return self


class Turn(Section):
    """From the decoder's frame to the device's: a rotation of three outputs."""

    intents: tuple[str, str, str] = Field(description="the outputs that are turned, as x, y and z")
    rotation_deg: tuple[float, float, float] = Field(description="about x, then y, then z")


class DiscreteAction(Section):
    """What a click, or standing still on purpose, does."""

    intent: Literal["click", "hold", "n_clicks"] = Field(description="a probability, or the decoder's own clicks")
    does: Literal["toggle", "close", "open", "stop", "disarm"]
    axis: str = Field("", description="which is closed (to its upper bound) or opened; empty for stop and disarm")
    speed: Fraction = Field(0.5, description="of the axis's speed limit")
    on: Fraction = Field(0.8, description="probability above which it begins to count")
    off: Fraction = Field(0.5, description="and below which the next may begin")
    dwell_ms: float = Field(300.0, ge=0, le=5000.0, description="how long it must stay above `on`")

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        if not 0.0 < self.off <= self.on:
            raise ValueError("off must be above 0 and not above on")
        if (self.axis == "") != (self.does in ("stop", "disarm")):
            raise ValueError(f"'{self.does}' needs {'no' if self.axis else 'an'} axis")
        return self


class DeviceAxis(Section):
    """One axis of a device that does not describe itself."""

    name: str = Field(min_length=1, max_length=8)
    unit: str = Field("", max_length=8)
    address: int = Field(0, ge=0, description="number of the servo or channel")
    lower: float
    upper: float
    max_speed: PositiveFloat = Field(description="units per second")
    max_acceleration: PositiveFloat = Field(description="units per second squared")
    raw_lower: float = Field(0.0, description="the device's own number at `lower`")
    raw_upper: float = Field(1.0, description="and at `upper`; it may be the smaller")

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        if not self.lower < self.upper or self.raw_lower == self.raw_upper:
            raise ValueError("lower must be below upper, and raw_lower other than raw_upper")
        return self


class Limits(Section):
    """What the guardian enforces; each may only be stricter than the hard maximum."""

    lease_ms: float = Field(100.0, gt=0, le=200.0)
    hold_to_disarm_ms: float = Field(1000.0, gt=0, le=3000.0)
    idle_to_disarm_s: float = Field(60.0, gt=0, le=600.0)
    speed_fraction: float = Field(1.0, gt=0, le=1.0, description="of each axis's declared maximum")
    acceleration_fraction: float = Field(1.0, gt=0, le=1.0)
    force_fraction: float = Field(1.0, gt=0, le=1.0, description="where the device measures its effort")
    spool_ms: float = Field(1000.0, ge=1000.0, le=10000.0, description="powered and still before anything moves")
    may_stall: tuple[str, ...] = Field((), description="axes that may be held up, as a gripper by what it grips")
    user_may_arm: bool = Field(False, description="whether the participant may arm, with a wish of two seconds")


class Device(Section):
    """A device, its port, and the mapping from intents to its axes."""

    name: str = Field("device", pattern=r"^[a-z0-9_]+$")
    driver: str = "node"
    port: str = Field("twin", description="a serial port, best by its name in /dev/serial/by-id, or 'twin'")
    baud: PositiveInt = 115200
    maps: tuple[AxisMap, ...] = ()
    frame: Turn | None = None
    actions: tuple[DiscreteAction, ...] = ()
    axes: tuple[DeviceAxis, ...] = ()
    options: dict[str, bool | int | float | str] = Field({}, description="whatever the driver wants to know")
    stop_button: bool = Field(False, description="a stop button is wired to it; it is tried before power")
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _follows_something(self) -> Self:
        if not self.maps and not self.actions:
            raise ValueError("needs maps or actions, or nothing would move it")
        return self


class UdpSink(Section):
    """Intents as datagrams for other software; no right to move anything."""

    kind: Literal["udp"] = "udp"
    host: str = Field("127.0.0.1", description="where they are sent; beyond this machine nothing is encrypted")
    port: int = Field(17571, ge=1, le=65535)


class LslSink(Section):
    """Intents as an LSL stream with a name that stays; no right to move anything."""

    kind: Literal["lsl"] = "lsl"
    name: str = Field("bci.intents.out", min_length=1)


Sink: TypeAlias = Annotated[UdpSink | LslSink, Field(discriminator="kind")]
