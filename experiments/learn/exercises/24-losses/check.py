import numpy as np

from autograd import Tensor, grad, gradcheck
from experiments.learn.checking import normal, same, wrong

START_FAILS_WITH = "the loss of G is wrong"


def log_sigmoid(a):
    return np.log(1 / (1 + np.exp(-a)))


def check(answer):
    real, fake = normal(6), normal(6, seed=1)
    right = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    same("the loss of D", answer.discriminator_loss(Tensor(real), Tensor(fake)), right)
    same("the loss of G", answer.generator_loss(Tensor(fake)), -log_sigmoid(fake).mean())
    gradcheck(lambda real, fake: answer.discriminator_loss(real, fake), real, fake)
    gradcheck(lambda fake: answer.generator_loss(fake), fake)
    far = Tensor(np.array([-1000.0]), requires_grad=True)
    loss = answer.generator_loss(far)
    if not np.isfinite(loss.data).all():
        wrong("the loss of G overflows at a logit of −1000: write it by ops.softplus")
    same("the slope of the loss of G at a logit of −1000", grad(loss, [far])[0], [-1.0])
