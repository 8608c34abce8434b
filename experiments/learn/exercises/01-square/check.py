from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"


def check(answer):
    check_rule(answer.squared, lambda x: x**2, normal(3, 4))
