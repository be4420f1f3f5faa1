"""The last frame stays: the yardstick that every forecaster has to beat."""

from __future__ import annotations

from collections.abc import Iterator

from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options


class Persistence:
    """"Last frame" of the benchmark paper, section 5.3."""

    min_inputs = 1
    reads_packed = True

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        last = inputs.frames[-1]
        for lead in range(1, options.lead_times + 1):
            context.token.check()
            context.progress(lead / options.lead_times, "repeating the last frame")
            yield LeadFrame(lead * inputs.step_minutes, last)
