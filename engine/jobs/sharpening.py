"""The deblurrer behind a forecaster, as the forecast job uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.deblurrers.chain import Ledger, sharpened
from engine.deblurrers.protocol import Context, Deblurrer, Observation, Options
from engine.forecasters.protocol import Inputs, LeadFrame
from engine.jobs import weights
from engine.jobs.events import Warned


@dataclass
class Sharpening:
    """name: of the deblurrer in the catalogue."""

    name: str
    deblurrer: Deblurrer
    ledger: Ledger = field(default_factory=lambda: Ledger([]))

    @classmethod
    def wished(cls, name: str | None) -> Sharpening | None:
        """None where none is wished. Raises WrongUsage for a name that does not exist, NoWeights."""
        return cls(name, weights.deblurrer(name)) if name else None

    def notes(self, inputs: Inputs) -> tuple[str, ...]:
        """What the user should know about this archive and the deblurrer's weights."""
        told = getattr(self.deblurrer, "notes", None)
        return tuple(told(_observation(inputs))) if told else ()

    def run(self, frames: Iterator[LeadFrame], inputs: Inputs, options: Options,
            context: Context) -> Iterator[LeadFrame]:
        """The lead times, sharper."""
        return sharpened(frames, self.deblurrer, _observation(inputs), options, context, self.ledger)

    def complaints(self) -> Iterator[Warned]:
        """Told when the forecast is done."""
        words = self.ledger.words(self.name)
        if words:
            yield Warned(words)

    @property
    def weights_sha256(self) -> str:
        """Empty where there are no weights."""
        return str(getattr(self.deblurrer, "weights_sha256", ""))


def _observation(inputs: Inputs) -> Observation:
    return Observation(inputs.frames[-1], inputs.reference_time, inputs.step_minutes, inputs.grid, inputs.zr)
