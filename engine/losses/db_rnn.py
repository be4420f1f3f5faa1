"""DB-RNN's total loss with its weights over the epochs (DB-RNN paper, equation 7 and section IV-B)."""

from __future__ import annotations

from engine.losses.gdl import GDL
from engine.losses.mae import MAE
from engine.losses.mse import MSE
from engine.losses.total import Ramp, Term, Total

EPOCHS = 20.0
LAMBDA_FORECAST = Ramp(1.0, 0.01, EPOCHS)
LAMBDA_DEBLURRED = Ramp(0.01, 1.0, EPOCHS)
LAMBDA_GDL = Ramp(0.001)
LAMBDA_ADVERSARIAL = Ramp(1.0)


def db_rnn(*, staged_weights: bool = True, gdl: bool = True, adversarial: bool = True) -> Total:
    """Read-out 0 is the forecast, the last one the deblurred frame. Without ``staged_weights`` both weigh 1 all the
    time (Table VIII, row 2); the other two switches leave a term out (rows 3 and 4). Sums over the pixels, mean over
    frames and batch."""
    forecast = LAMBDA_FORECAST if staged_weights else Ramp(1.0)
    deblurred = LAMBDA_DEBLURRED if staged_weights else Ramp(1.0)
    terms = [Term("forecast-mae", forecast, MAE(), 0), Term("forecast-mse", forecast, MSE(), 0),
             Term("deblurred-mae", deblurred, MAE(), -1), Term("deblurred-mse", deblurred, MSE(), -1)]
    if gdl:
        terms.append(Term("gdl", LAMBDA_GDL, GDL(), -1))
    if adversarial:
        terms.append(Term("adversarial", LAMBDA_ADVERSARIAL, None, -1))
    return Total(tuple(terms))
