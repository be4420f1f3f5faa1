"""The noise schedule against closed forms and against the chain drawn step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.deblurrers.diffusion import Schedule

FULL = Schedule.linear()


def test_the_papers_schedule() -> None:
    assert (len(FULL), FULL.betas[0], FULL.betas[-1]) == (1000, pytest.approx(1e-4), pytest.approx(0.02))
    assert np.diff(FULL.betas) == pytest.approx((0.02 - 1e-4) / 999)
    assert FULL.signal[0] == pytest.approx(0.9999)
    logarithm = math.fsum(math.log1p(-beta) for beta in FULL.betas)
    assert FULL.signal[-1] == pytest.approx(math.exp(logarithm), rel=1e-9)
    assert FULL.signal[-1] < 5e-5  # nothing of the field is left


def test_two_steps_by_hand() -> None:
    two = Schedule((0.1, 0.5), (0, 1))
    assert two.signal == pytest.approx([0.9, 0.45])
    # weights: sqrt(0.9) 0.5 / 0.55 and sqrt(0.5) 0.1 / 0.55; variance: 0.1 / 0.55 * 0.5
    assert two.weights(1) == pytest.approx((0.9**0.5 * 0.5 / 0.55, 0.5**0.5 * 0.1 / 0.55))
    assert two.variance(1) == pytest.approx(0.1 / 0.55 * 0.5)
    assert two.weights(0) == pytest.approx((1.0, 0.0))
    assert two.variance(0) == 0.0


@pytest.mark.parametrize("step", [0, 1, 10, 499, 999])
def test_noise_and_clean_fields_lead_back_to_each_other(step: int) -> None:
    draw = np.random.default_rng(0)
    clean, noise = draw.uniform(-1, 1, 50), draw.normal(size=50)
    noisy = FULL.noised(clean, step, noise)
    np.testing.assert_allclose(FULL.clean(noisy, step, noise), clean, atol=1e-9)
    np.testing.assert_allclose(FULL.noise(noisy, step, clean), noise, atol=1e-9)


def test_the_forward_process_is_the_chain_drawn_step_by_step() -> None:
    draw = np.random.default_rng(1)
    clean, step = 0.7, 299
    field = np.full(200_000, clean)
    for beta in FULL.betas[:step + 1]:
        field = math.sqrt(1 - beta) * field + math.sqrt(beta) * draw.normal(size=field.size)
    assert field.mean() == pytest.approx(math.sqrt(FULL.signal[step]) * clean, abs=0.01)
    assert field.var() == pytest.approx(1 - FULL.signal[step], rel=0.02)


@pytest.mark.parametrize("step", [1, 50, 500, 999])
def test_the_posterior_is_that_of_two_gaussians(step: int) -> None:
    """Bayes: prior N(sqrt(b) x0, 1 - b), b the signal before; likelihood x_t ~ N(sqrt(1 - beta) x, beta)."""
    before, beta = FULL.signal[step - 1], FULL.betas[step]
    clean, noisy = 0.3, -0.8
    precision = 1 / (1 - before) + (1 - beta) / beta
    mean = (math.sqrt(before) * clean / (1 - before) + math.sqrt(1 - beta) * noisy / beta) / precision
    assert FULL.variance(step) == pytest.approx(1 / precision)
    assert FULL.mean(clean, noisy, step) == pytest.approx(mean)


@pytest.mark.parametrize("count", [2, 25, 50, 1000])
def test_steps_left_out_keep_the_signal_of_those_that_stay(count: int) -> None:
    few = FULL.respaced(count)
    assert len(few) == count
    assert (few.steps[0], few.steps[-1]) == (0, 999)
    assert few.signal == pytest.approx(FULL.signal[list(few.steps)])


def test_the_implicit_mean_is_that_of_the_full_process_at_full_spread() -> None:
    few = FULL.respaced(20)
    for step in range(1, 20):
        assert few.implicit_mean(0.3, -0.8, step, spread=1.0) == pytest.approx(few.mean(0.3, -0.8, step))
        noise = few.noise(-0.8, step, 0.3)
        assert few.implicit_mean(0.3, -0.8, step) == pytest.approx(few.noised(0.3, step - 1, noise))


def test_wrong_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="between 2 and 1000"):
        FULL.respaced(1)
    with pytest.raises(ValueError, match="variance"):
        Schedule((0.1, 1.0), (0, 1))
