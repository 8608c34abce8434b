from experiments.learn.checking import check_rule, normal, positive

START_FAILS_WITH = "the gradient of b is wrong"


def check(answer):
    check_rule(answer.quotient, lambda a, b: a * b**-1.0, normal(3, 4), positive(3, 4, seed=1))
    check_rule(answer.quotient, lambda a, b: a * b**-1.0, normal(3, 4), positive(4, seed=1))
