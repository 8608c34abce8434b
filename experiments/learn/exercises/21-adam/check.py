import numpy as np

import nn
from experiments.learn.checking import normal, same, wrong

START_FAILS_WITH = "theta after step 1 is wrong"


def check(answer):
    theta = normal(5)
    weights = nn.Parameter(theta.copy())
    optimiser = nn.Adam([weights], lr=0.1, betas=(0.8, 0.95), eps=0.5)
    m = v = np.zeros(5)
    for t in range(1, 5):
        g = normal(5, seed=t) * 10.0**t
        optimiser.step([g])
        result = answer.adam(theta, g, m, v, t, lr=0.1, beta1=0.8, beta2=0.95, eps=0.5)
        if not isinstance(result, tuple) or len(result) != 3:
            wrong("adam returns the three (theta, m, v)")
        theta, m, v = result
        same(f"theta after step {t}", theta, weights.data, rtol=1e-6)
