from autograd import ops


def discriminator_loss(real, fake):
    return ops.softplus(-real).mean() + ops.softplus(fake).mean()


def generator_loss(fake):
    return ops.softplus(-fake).mean()
