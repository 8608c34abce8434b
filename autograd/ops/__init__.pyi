"""Every op by its public name, with signature and formula. Written by `python -m autograd.ops.stub`."""

from typing import Any

from autograd.tensor import Tensor

SIMILARITIES: tuple[str, ...]

def abs(x: Any) -> Tensor:
    """y = |x|                    ∂L/∂x = g sign x   (0 at the kink)"""

def add(a: Any, b: Any) -> Tensor:
    """y = a + b                  ∂L/∂a = g,   ∂L/∂b = g"""

def argmax(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """Where the (first) maximum is: integers, so nothing is recorded."""

def argmin(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """Where the (first) minimum is: integers, so nothing is recorded."""

def argsort(x: Any, axis: Any = -1) -> Tensor:
    """The places of the elements in rising order along axis, NaN last and equals as they stand. Nothing is recorded."""

def astype(x: Any, dtype: Any) -> Tensor:
    """y = x in another dtype     ∂L/∂x = g, in the dtype of x      (integers and booleans carry no gradient)"""

def attention(q: Any, k: Any, v: Any, similarity: Any = 'dot', scale: Any = None, return_weights: Any = False, mask: Any = None, causal: Any = False) -> Tensor:
    """P = softmax(S),  Y = P V              ∂L/∂V = Pᵀ G,   H = ∂L/∂S = P (G Vᵀ − Σⱼ G Vᵀ P)
    dot:   ∂L/∂Q = s H K,    ∂L/∂K = s Hᵀ Q
    l2:    ∂L/∂Q = 2s H K,   ∂L/∂K = 2s (Hᵀ Q − Σᵢ H ⊙ K)          (Σⱼ H = 0, so the terms in ‖q‖² drop out)
    l1:    ∂L/∂Q = −s Σⱼ H sign(q − k),   ∂L/∂K = s Σᵢ H sign(q − k)
    l2_printed:  as l2 with W = H/‖q − k‖:   s (Σⱼ W ⊙ Q − W K),   s (Σᵢ W ⊙ K − Wᵀ Q)       Q, K, V (B, H, N, d)"""

def attention_weights(q: Any, k: Any, similarity: Any = 'dot', scale: Any = None, mask: Any = None, causal: Any = False) -> Tensor:
    """P = softmax(S) (B, H, Nq, Nk), a Tensor: row i is how query i shares its attention among the keys.

    ValueError for an unknown similarity, TypeError for a mask that is no array of booleans."""

def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: Any = True) -> Tensor:
    """y = Σ x / (kh kw) over each window         ∂L/∂x = g / (kh kw) for each place in each window, added up"""

def batch_norm(x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: Any = False, momentum: Any = 0.1, eps: Any = 1e-05) -> Tensor:
    """Batch norm (Ioffe & Szegedy, 1502.03167) of x (N, C, …): `normalize` over all axes but the channels.

    In training the batch's mean and variance are used, and the running arrays (C,) move towards them in place by
    `momentum` (the variance with n − 1, as in PyTorch); otherwise the running arrays are used. ValueError if they are
    missing outside training, if only one of the two is given, if an array does not have the C channels of x, or if a
    channel has a single value in training. TypeError for running values that are no arrays."""

def bias_gelu(x: Any, bias: Any, approximate: Any = 'none') -> Tensor:
    """z = x + b,  y = gelu z      ∂L/∂x = g y'(z),   ∂L/∂b = Σ g y'(z)       x (…, D), b (D)
    the bias of a linear map and its activation as one op, which a fast form computes in one pass"""

def bias_sine(x: Any, bias: Any, omega: Any = 1.0) -> Tensor:
    """y = sin ω(x + b)           ∂L/∂x = g ω cos ω(x + b),   ∂L/∂b = Σ ∂L/∂x        x (…, D), b (D)"""

def binary_cross_entropy_with_logits(input: Any, target: Any) -> Tensor:
    """y = mean (ln(1 + eˣ) − x t), x the logits and t their targets from 0 to 1: −ln of the probability of t

    ValueError unless both have one shape."""

def broadcast_to(x: Any, shape: Any) -> Tensor:
    """y = x stretched to a shape                 ∂L/∂x = g summed over the stretched axes, by the engine"""

def ceil(x: Any) -> Tensor:
    """NumPy's ceil. Its gradient is zero, so nothing is recorded."""

def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """y = min(max(x, lo), hi)    ∂L/∂x = g [lo ≤ x ≤ hi]"""

def concatenate(arrays: Any, axis: Any = 0) -> Tensor:
    """y = [x₁, x₂, …] along axis                 ∂L/∂xᵢ = the i-th stretch of g"""

def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """y[n, o, r, t] = b[o] + Σ w[o, c, i, j] x[n, c, r s + i d − p, t s + j d − p]
    ∂L/∂x = conv_transpose2d(g, w),   ∂L/∂w = conv2d_weight(x, g),   ∂L/∂b = Σ g"""

def conv2d_weight(input: Any, weight_size: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """y[o, c, i, j] = Σ u[n, o, r, t] x[n, c, r s + i d − p, t s + j d − p]       (torch.nn.grad.conv2d_weight)
    ∂L/∂x = conv_transpose2d(u, g),   ∂L/∂u = conv2d(x, g)"""

def conv_transpose2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1) -> Tensor:
    """y[n, o, h, v] = b[o] + Σ w[c, o, i, j] x[n, c, r, t]   over r s + i d − p = h,  t s + j d − p = v
    ∂L/∂x = conv2d(g, w),   ∂L/∂w = conv2d_weight(g, x),   ∂L/∂b = Σ g
    y has (H − 1)s − 2p + d(kh − 1) + 1 + output_padding rows, and columns likewise"""

def cos(x: Any) -> Tensor:
    """y = cos x                  ∂L/∂x = −g sin x"""

def cross_entropy(x: Any, target: Any) -> Tensor:
    """y = mean over rows of (ln Σ eˣ − x[target])     ∂L/∂x = g (softmax(x) − onehot(target)) / rows"""

def cumsum(x: Any, axis: Any = None) -> Tensor:
    """yᵢ = x₁ + … + xᵢ            ∂L/∂xᵢ = gᵢ + … + gₙ        along axis"""

def diagonal(x: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Tensor:
    """The diagonals of x over two axes: they become the last axis."""

def div(a: Any, b: Any) -> Tensor:
    """y = a / b                  ∂L/∂a = g / b,   ∂L/∂b = −g y / b"""

def dot(a: Any, b: Any) -> Tensor:
    """NumPy's dot: a · b of vectors, a @ b of matrices; the last axis of a meets the last but one of b, or its only."""

def einsum(subscripts: Any, *operands: Any) -> Tensor:
    """Y = Σ A B … by subscripts  ∂L/∂A = the same product with g in the place of A
    subscripts: NumPy's, also with "..." and without the output; a letter twice in one operand is its diagonal"""

def erf(x: Any) -> Tensor:
    """y = 2/√π ∫₀ˣ e^(−t²) dt    ∂L/∂x = g 2/√π e^(−x²)"""

def exp(x: Any) -> Tensor:
    """y = eˣ                     ∂L/∂x = g y"""

def expand_dims(x: Any, axis: Any) -> Tensor:
    """x with a new axis of length 1 at each place of `axis`, counted in the result."""

def expm1(x: Any) -> Tensor:
    """y = eˣ − 1                 ∂L/∂x = g (y + 1)       (exact also where x is small)"""

def flip(x: Any, axis: Any = None) -> Tensor:
    """y = x reversed along axis                  ∂L/∂x = g reversed along axis"""

def floor(x: Any) -> Tensor:
    """NumPy's floor. Its gradient is zero, so nothing is recorded."""

def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """y[n, c, h, v] = Σ x[n, (c, i, j), (r, t)]   over r s + i d − p = h,  t s + j d − p = v
    ∂L/∂x = unfold(g)       x (N, C kh kw, L),  y (N, C, *output_size)"""

def gather(x: Any, dim: Any, index: Any) -> Tensor:
    """PyTorch's gather: y has the shape of index, and y[i, j, k] = x[i, index[i, j, k], k] for dim 1.

    ValueError unless both have the same number of axes."""

def gelu(x: Any, approximate: Any = 'none') -> Tensor:
    """y = x Φ(x),  Φ(x) = ½ (1 + erf x/√2)      ∂L/∂x = g (Φ(x) + x φ(x)),  φ(x) = e^(−x²/2) / √(2π)    (limits at ±∞)
    approximate="tanh":  Φ(x) ≈ ½ (1 + t),  t = tanh √(2/π) (x + 0.044715 x³),  φ its derivative   (Hendrycks & Gimpel, 1606.08415)"""

def getitem(x: Any, index: Any) -> Tensor:
    """y = x[index]               ∂L/∂x = zeros, with g added at index"""

def interpolate(input: Any, *, scale_factor: Any, mode: Any = 'nearest') -> Tensor:
    """Images (N, C, H, W) made `scale_factor` (an int or a pair) times as high and wide.

    mode: "nearest" repeats pixels; "bilinear" interpolates between pixel centres (PyTorch's align_corners=False) and
    repeats the border outside them. ValueError for other modes, and for factors below 1."""

def isfinite(x: Any) -> Any:
    """NumPy's isfinite: a plain boolean array, as x < 0 is, which has ~, & and |."""

def isinf(x: Any) -> Any:
    """NumPy's isinf: a plain boolean array, as x < 0 is, which has ~, & and |."""

def isnan(x: Any) -> Any:
    """NumPy's isnan: a plain boolean array, as x < 0 is, which has ~, & and |."""

def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-05) -> Tensor:
    """Layer norm (Ba et al., 1607.06450): `normalize` over the last axes, those of `normalized_shape`.

    weight and bias may have any shape that broadcasts against x: with one row per sample, functions of a latent w,
    it is the self-modulated layer norm of ViTGAN. ValueError if x does not end in `normalized_shape`."""

def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Tensor:
    """y = x if x > 0 else α x    ∂L/∂x = g if x > 0 else α g"""

def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """Y = X Wᵀ + b               ∂L/∂X = G W,   ∂L/∂W = Gᵀ X,   ∂L/∂b = Σ G       X (…, in), W (out, in), b (out)"""

def log(x: Any) -> Tensor:
    """y = ln x                   ∂L/∂x = g / x"""

def log1p(x: Any) -> Tensor:
    """y = ln(1 + x)              ∂L/∂x = g / (1 + x)     (exact also where x is small)"""

def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """y = x − ln Σ eˣ            ∂L/∂x = g − e^y Σ g"""

def logsumexp(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = ln Σ eˣ                ∂L/∂x = g e^(x − y)"""

def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """x, but `value` where the mask is True; the mask broadcasts against x."""

def matmul(a: Any, b: Any) -> Tensor:
    """Y = A B                    ∂L/∂A = G Bᵀ,   ∂L/∂B = Aᵀ G"""

def max(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = max x                  ∂L/∂x = g [x = y] / (how many reach the maximum)"""

def max_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    """y = max x over each window      ∂L/∂x = g where the maximum was taken, the first of equals, the last of NaNs"""

def maximum(a: Any, b: Any) -> Tensor:
    """y = max(a, b)              ∂L/∂a = g [a > b],   ∂L/∂b = g [b > a]   (a tie: half each)"""

def mean(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = Σ x / n                ∂L/∂x = g / n, spread over the averaged axes"""

def min(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = min x                  ∂L/∂x = g [x = y] / (how many reach the minimum)"""

def minimum(a: Any, b: Any) -> Tensor:
    """y = min(a, b)              ∂L/∂a = g [a < b],   ∂L/∂b = g [b < a]   (a tie: half each)"""

def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """NumPy's moveaxis: x with the axes of `source` at the places of `destination`, a `transpose`.

    ValueError unless there are as many places as axes."""

def mse_loss(input: Any, target: Any) -> Tensor:
    """y = mean (input − target)²

    ValueError unless both have one shape."""

def mul(a: Any, b: Any) -> Tensor:
    """y = a b                    ∂L/∂a = g b,   ∂L/∂b = g a"""

def neg(x: Any) -> Tensor:
    """y = −x                     ∂L/∂x = −g"""

def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = √Σ x²                  ∂L/∂x = g x / y         (0 where y = 0)"""

def normalize(x: Any, weight: Any, bias: Any, axes: Any, eps: Any) -> Tensor:
    """x̂ = (x − μ)/σ,  y = x̂ w + b       ∂L/∂x = (h − mean h − x̂ mean(h x̂))/σ,  h = g w
    ∂L/∂w = g x̂,   ∂L/∂b = g              μ, v = mean and variance over `axes`,  σ = √(v + ε)"""

def one_hot(x: Any, num_classes: Any = -1) -> Tensor:
    """PyTorch's one_hot: integers (…) as rows (…, classes) of 0 and one 1; −1 counts the classes by the largest.

    TypeError unless they are integers; ValueError, on the host, for integers that are no class."""

def ones_like(x: Any) -> Tensor:
    """NumPy's ones_like. Its gradient is zero, so nothing is recorded."""

def outer(a: Any, b: Any) -> Tensor:
    """a bᵀ of vectors, (len a, len b); arrays of other shapes are flattened."""

def pad(x: Any, pad_width: Any, constant_values: Any = 0.0) -> Tensor:
    """y = x framed by a constant                 ∂L/∂x = g inside the frame"""

def pixel_shuffle(x: Any, upscale_factor: Any) -> Tensor:
    """y[n, c, h r + i, w r + j] = x[n, c r² + i r + j, h, w]       (sub-pixel convolution: Shi et al., 1609.05158)
    ∂L/∂x = pixel_unshuffle(g)       r = upscale_factor"""

def pixel_unshuffle(x: Any, downscale_factor: Any) -> Tensor:
    """y[n, c r² + i r + j, h, w] = x[n, c, h r + i, w r + j]
    ∂L/∂x = pixel_shuffle(g)         r = downscale_factor"""

def power(a: Any, b: Any) -> Tensor:
    """y = a^b                    ∂L/∂a = g b a^(b−1),   ∂L/∂b = g y ln a"""

def prod(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = Π x over axis: halves times halves, again and again. So the gradient, Π of the others, divides by nothing,
    and is right where factors are 0, to any order."""

def relu(x: Any) -> Tensor:
    """y = max(x, 0)              ∂L/∂x = g [x > 0]"""

def repeat(x: Any, repeats: Any, axis: Any = None) -> Tensor:
    """Each element of x `repeats` times in a row (a number, or one for each), along axis or of the flattened x."""

def reshape(x: Any, shape: Any) -> Tensor:
    """y = x, same elements in another shape      ∂L/∂x = g, in the shape of x"""

def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """y = x pushed on by shift, round the end    ∂L/∂x = g pushed back"""

def scatter_add(x: Any, index: Any, shape: Any) -> Tensor:
    """y = zeros(shape);  y[index] += x           ∂L/∂x = g[index]"""

def sigmoid(x: Any) -> Tensor:
    """y = 1 / (1 + e⁻ˣ)          ∂L/∂x = g y (1 − y)"""

def sign(x: Any) -> Tensor:
    """NumPy's sign. Its gradient is zero, so nothing is recorded."""

def silu(x: Any) -> Tensor:
    """y = x σ(x)                 ∂L/∂x = g σ(x) (1 + x (1 − σ(x)))       at −∞ and ∞ their limits"""

def sin(x: Any) -> Tensor:
    """y = sin x                  ∂L/∂x = g cos x"""

def softmax(x: Any, axis: Any = -1) -> Tensor:
    """y = eˣ / Σ eˣ              ∂L/∂x = y (g − Σ g y)"""

def softplus(x: Any) -> Tensor:
    """y = ln(1 + eˣ)             ∂L/∂x = g σ(x)"""

def sort(x: Any, axis: Any = -1) -> Tensor:
    """x in rising order along axis (of the flattened x if None), NaN last. Each gradient goes back to its element."""

def spectral_normalize(weight: Any, u: Any, v: Any, target: Any) -> Tensor:
    """Y = c W,  c = σ₀/σ,  σ = uᵀ W v         ∂L/∂W = c (G − ⟨G, W⟩/σ · u vᵀ)       no gradient through u, v, σ₀"""

def split(x: Any, indices_or_sections: Any, axis: Any = 0) -> list[Tensor]:
    """NumPy's split: a list of pieces of x along axis, each a `getitem`, so each gradient lands in its own stretch.

    ValueError for sections that cannot be equal, and for an axis that x has not."""

def sqrt(x: Any) -> Tensor:
    """y = √x                     ∂L/∂x = g / 2y"""

def square(x: Any) -> Tensor:
    """y = x²                     ∂L/∂x = 2 g x"""

def squeeze(x: Any, axis: Any = None) -> Tensor:
    """x without its axes of length 1, or without those of `axis`: ValueError unless these have length 1."""

def stack(arrays: Any, axis: Any = 0) -> Tensor:
    """y = [x₁, x₂, …] along a new axis           ∂L/∂xᵢ = the i-th slice of g"""

def std(x: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Tensor:
    """y = √(Σ (x − x̄)² / (n − ddof))     ∂L/∂x = g (x − x̄) / ((n − ddof) y)      (0 where y = 0)"""

def sub(a: Any, b: Any) -> Tensor:
    """y = a − b                  ∂L/∂a = g,   ∂L/∂b = −g"""

def sum(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """y = Σ x                    ∂L/∂x = g, spread over the summed axes"""

def swapaxes(x: Any, axis1: Any, axis2: Any) -> Tensor:
    """y = x with two axes exchanged              ∂L/∂x = g with the same two exchanged"""

def take(x: Any, indices: Any, axis: Any = None) -> Tensor:
    """NumPy's take: x[..., indices, ...] along axis (of the flattened x if None).

    ValueError for an axis that x has not."""

def take_along_axis(x: Any, indices: Any, axis: Any = -1) -> Tensor:
    """NumPy's take_along_axis: y[i, j, k] = x[i, indices[i, j, k], k] for axis 1; indices broadcast against x.

    With axis None x counts as flat. ValueError unless both have the same number of axes."""

def tanh(x: Any) -> Tensor:
    """y = tanh x                 ∂L/∂x = g (1 − y²)"""

def tile(x: Any, reps: Any) -> Tensor:
    """x beside itself, `reps` times along each axis; fewer reps than axes are those of the last axes."""

def trace(x: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Tensor:
    """The sum of each diagonal of x."""

def transpose(x: Any, axes: Any = None) -> Tensor:
    """y = x with its axes permuted               ∂L/∂x = g with the inverse permutation"""

def tril(x: Any, k: Any = 0) -> Tensor:
    """The lower triangles of the matrices x (…, M, N): 0 above diagonal k."""

def triu(x: Any, k: Any = 0) -> Tensor:
    """The upper triangles of the matrices x (…, M, N): 0 below diagonal k."""

def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """y[n, (c, i, j), (r, t)] = x[n, c, r s + i d − p, t s + j d − p]      ∂L/∂x = fold(g)       y (N, C kh kw, L)"""

def upsample_bilinear(x: Any, scale_factor: Any) -> Tensor:
    """Y = R X Cᵀ                  ∂L/∂X = Rᵀ G C       rows of R and C: the weights of the two nearest pixel centres"""

def upsample_conv2d(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """conv2d(interpolate(input, scale_factor=2), weight, bias, padding=1) with 3 × 3 kernels, at the smaller size.

    Of the two rows that a pixel becomes, the upper one sees row −1 once and row 0 twice, the lower one row 0 twice and
    row 1 once; columns likewise. So each output is a convolution of the input itself, with a kernel of sums, and all
    four together are one convolution with four times the channels, and a pixel shuffle. ValueError for other kernels."""

def upsample_nearest(x: Any, scale_factor: Any) -> Tensor:
    """y = x, each element s × s times            ∂L/∂x = Σ g over its s × s copies"""

def var(x: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Tensor:
    """y = Σ (x − x̄)² / (n − ddof)      ∂L/∂x = g 2 (x − x̄) / (n − ddof)"""

def where(condition: Any, a: Any, b: Any) -> Tensor:
    """y = a if condition else b  ∂L/∂a = g [condition],   ∂L/∂b = g [not condition]"""

def zeros_like(x: Any) -> Tensor:
    """NumPy's zeros_like. Its gradient is zero, so nothing is recorded."""
