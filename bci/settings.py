"""What every table of the profile is made of, and the table of discrete intents."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
State: TypeAlias = Literal["idle", "move", "click", "hold"]


class Section(BaseModel):
    """One table of the profile: frozen, finite, and closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Discrete(Section):
    """Discrete intents beside the velocity: click (or grasp), hold and rest, by a hidden Markov model."""

    click_probability: Fraction | None = Field(
        None, description="a click counts from this probability on; absent: the least with one false click a minute"
    )
    dwell_ms: PositiveFloat = Field(120.0, description="which must last so long")
    refractory_ms: float = Field(500.0, ge=0, description="and no other click counts for so long after it")
    idle_s: PositiveFloat = Field(2.0, description="how long rest lasts, on average")
    move_s: PositiveFloat = Field(1.0, description="how long moving lasts")
    click_s: PositiveFloat = Field(0.4, description="how long a click lasts")
    hold_s: PositiveFloat = Field(1.0, description="how long standing still lasts")
    gate_open: Fraction = Field(0.7, description="more probably active than this: the gate opens")
    gate_open_ms: PositiveFloat = Field(200.0, description="after so long")
    gate_close: Fraction = Field(0.3, description="less probably active than this: the gate closes")
    gate_close_ms: PositiveFloat = Field(500.0, description="after so long")
    gate_ramp_ms: PositiveFloat = Field(150.0, description="from shut to open")

    @model_validator(mode="after")
    def _gate_has_hysteresis(self) -> Self:
        if not self.gate_close < self.gate_open:
            raise ValueError("gate_close must be below gate_open")
        return self
