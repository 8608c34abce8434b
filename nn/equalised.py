"""Equalised learning rates (Karras et al., 1710.10196, section 4.1): every weight learns in proportion to its spread.

A weight is w = c φ, with φ drawn from N(0, 1) and He's constant c = gain/√fan_in, and φ is what is trained. A step of
Adam has about the length of the learning rate, whatever the gradient. Without c the small weights of a wide layer would
change faster, beside what they are, than the large ones of a narrow layer.
"""

from nn.module import Module


def he_constants(module: Module) -> list[float]:
    """c for each of `module.parameters()`: Adam(module.parameters(), scales=he_constants(module)).

    It is the standard deviation from which `Linear`, the convolutions and SIREN layers draw their weights, and 1 for
    every other parameter: biases, gains, tables, and the weights of recurrent cells. The parameters of the module stay
    the weights w themselves, which are what spectral norms, averages and checkpoints are about. Adam alone knows of φ.
    """
    layers = [vars(layer) for layer in module.modules()]
    drawn = {layer["weight"]: layer["weight_std"] for layer in layers if "weight_std" in layer}
    return [drawn.get(parameter, 1.0) for parameter in module.parameters()]
