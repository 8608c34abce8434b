from autograd import ops


def self_modulated_norm(h, w, gamma_weight, beta_weight):
    batch, features = h.shape[0], h.shape[2]
    gamma = (w @ gamma_weight + 1).reshape(batch, 1, features)
    beta = (w @ beta_weight).reshape(batch, 1, features)
    return normalise(gamma * h + beta)


def normalise(h):
    centred = h - h.mean(axis=-1, keepdims=True)
    return centred / ops.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
