"""Readout electronics of pixels in liquid argon: chips that trigger by themselves, pad by pad."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import as_number
from .._checks import InputError, whole_number
from ..units import ns

_POSITIVE = ("threshold", "full_scale", "reset_noise")


class PixelElectronics(eqx.Module):
    """The front end of a pad, as in LArPix: it integrates charge, triggers, waits, digitizes and starts from zero.

    **Arguments**

    - `threshold` in e: a pad triggers at the first clock at which its charge since the last reset is as much.
    - `reset_noise` in e: what a reset leaves on the integrator, once, seen by discriminator and digitizer alike.
    - `discriminator_noise`, `digitizer_noise` in e: what each of the two adds, once a cycle.
    - `full_scale` in e and `bits`, static: what the digitizer's range holds, and in how many bits.
    - `pedestal`: where the digitizer stands without charge, as a part of its range.
    - `tick`, static, in ns: the clock. `hold`, `dead`, static: clocks from trigger to digitization, and from there until charge
      counts again. `triggers`, static: how many a pad records at most in an event.

    The chip is that of D. A. Dwyer et al., JINST 13 (2018) P10007 (arXiv:1808.02969); noises of 900, 650 and 500 e, a clock of
    10 MHz, 15 clocks of hold, and a digitizer of 8 bits from 288 to 1300 mV at 4 mV/ke with its pedestal at 580 mV are those
    of larnd-sim (A. Abed Abud et al., JINST 18 (2023) P04034, arXiv:2212.09807).

    **Raises** `InputError` for numbers that are not positive or not finite.
    """

    threshold: Float[Array, ""]
    reset_noise: Float[Array, ""]
    discriminator_noise: Float[Array, ""]
    digitizer_noise: Float[Array, ""]
    full_scale: Float[Array, ""]
    pedestal: Float[Array, ""]
    bits: int = eqx.field(static=True)
    tick: float = eqx.field(static=True)
    hold: int = eqx.field(static=True)
    dead: int = eqx.field(static=True)
    triggers: int = eqx.field(static=True)

    def __init__(
        self,
        threshold: float | Array = 5000.0,
        reset_noise: float | Array = 900.0,
        discriminator_noise: float | Array = 650.0,
        digitizer_noise: float | Array = 500.0,
        full_scale: float | Array = 253_000.0,
        pedestal: float | Array = 0.2885,
        *,
        bits: int = 8,
        tick: float = 100.0 * ns,
        hold: int = 15,
        dead: int = 1,
        triggers: int = 4,
    ):
        numbers = {
            "threshold": threshold,
            "reset_noise": reset_noise,
            "discriminator_noise": discriminator_noise,
            "digitizer_noise": digitizer_noise,
            "full_scale": full_scale,
            "pedestal": pedestal,
        }
        for name, value in numbers.items():
            setattr(self, name, as_number(value, f"electronics.{name}", positive=name in _POSITIVE))
        if not tick > 0:
            raise InputError("must be positive", key="electronics.tick", value=tick, remedy="give ns")
        self.tick = float(tick)
        self.bits = whole_number("electronics.bits", bits)
        self.hold = whole_number("electronics.hold", hold, least=0)
        self.dead = whole_number("electronics.dead", dead, least=0)
        self.triggers = whole_number("electronics.triggers", triggers)

    @property
    def step(self) -> Float[Array, ""]:
        """Charge in e of one digitizer count."""
        return self.full_scale / (2**self.bits - 1)

    @property
    def trigger_noise(self) -> Float[Array, ""]:
        """Standard deviation in e of what the discriminator compares with its threshold."""
        return jnp.sqrt(self.reset_noise**2 + self.discriminator_noise**2)

    @property
    def charge_noise(self) -> Float[Array, ""]:
        """Standard deviation in e of a digitized charge, rounding included."""
        return jnp.sqrt(self.reset_noise**2 + self.digitizer_noise**2 + self.step**2 / 12)

    def digitized(self, charge: Float[Array, "..."]) -> Float[Array, "..."]:
        """Whole digitizer counts of a charge in e, within the range."""
        return jnp.clip(jnp.round(charge / self.step + self._rest), 0, 2**self.bits - 1)

    def charge(self, counts: Float[Array, "..."]) -> Float[Array, "..."]:
        """Charge in e of digitizer counts."""
        return (counts - self._rest) * self.step

    @property
    def _rest(self) -> Float[Array, ""]:
        return self.pedestal * (2**self.bits - 1)
