from autograd import op


@op
class convolution:
    "y[l] = Σ x[l + k] w[k]"

    def forward(xp, x, w):
        size = x.shape[2] - w.shape[2] + 1
        return sum(xp.einsum("ncl,oc->nol", x[:, :, k : k + size], w[:, :, k]) for k in range(w.shape[2]))

    def backward(xp, g, x, w):
        size, last = g.shape[2], w.shape[2] - 1
        gx, gw = 0, []
        for k in range(last + 1):
            part = xp.einsum("nol,oc->ncl", g, w[:, :, k])
            before = last - k
            gx = gx + xp.pad(part, ((0, 0), (0, 0), (before, last - before)))
            gw.append(xp.einsum("nol,ncl->oc", g, x[:, :, k : k + size]))
        return gx, xp.stack(gw, axis=2)
