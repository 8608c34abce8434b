"""Painting drawn faces, several at once: every shape is a signed distance or a soft bump, in float32.

Lengths are in half heights of the head. X (right), Y (down) and Z (towards the viewer) are coordinates in the picture,
of a head that is not tilted: its crown is at Y = −1 and its chin at Y = 1. x, y, z are the same point in coordinates of
the head, before it turned and nodded. Features are painted at (x, y), so they turn with the head.

The numbers in the formulas are positions, sizes and shares that were tuned by eye.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

Array = np.ndarray
Inside = Callable[[Array], Array]

_MIDDLE = np.float32(-0.12)  # Y where the head is widest; above it is an ellipse, below it jaw and chin


def draw(p: SimpleNamespace, size: int) -> Array:
    """Pictures, float32 (n, 3, size, size) in 0 … 1, of n people with the traits p (see `faces`)."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1)[None]
    u, v = line[:, None, :], line[:, :, None]
    cos, sin = np.cos(p.roll), np.sin(p.roll)
    dx, dy = (u - p.left) / p.scale, (v - p.top) / p.scale
    X, Y = cos * dx + sin * dy, cos * dy - sin * dx
    pixels = p.scale * (size / 2 / 1.2)

    def inside(distance: Array) -> Array:
        """1 where a signed distance is negative, 0 where it is positive, with a soft edge of 1.2 pixels."""
        return np.clip(0.5 - distance * pixels, 0, 1)

    head = _head(p, X, Y)
    hair = _hair(p, X, Y, head, inside)
    image = _wall(p, u, v)
    _lay(image, hair.colour * 0.62, hair.behind)
    _body(p, image, dx, dy, inside)
    rows, columns = slice(int(size * 0.1), int(size * 0.97)), slice(int(size * 0.06), int(size * 0.94))
    window = SimpleNamespace(**{name: a[:, rows, columns] for name, a in vars(head).items()})
    _face(p, image[:, :, rows, columns], window, hair.shadow[:, rows, columns], inside)
    _lay(image, hair.colour, hair.front)
    image *= p.exposure[:, None] * p.tint
    image -= 0.5
    image *= p.contrast[:, None]
    image += 0.5
    return np.clip(image, 0, 1, out=image)


def _lay(image: Array, colour: Array | float, cover: Array) -> None:
    """Blend a colour into an image (n, 3, h, w), in place; cover (n, h, w) is its opacity."""
    change = colour - image
    change *= cover[:, None]
    image += change


def _rise(x: Array, low: float | Array, high: float | Array) -> Array:
    """A smooth step from 0 at low to 1 at high; a falling one if low > high."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _bump(x: Array, y: Array | float, width: float | Array, height: float | Array) -> Array:
    return np.exp(-((x / width) ** 2) - (y / height) ** 2)


def _rgb(r: float, g: float, b: float) -> Array:
    return np.array([r, g, b], np.float32).reshape(3, 1, 1)


def _light(p: SimpleNamespace, nx: Array, ny: Array, nz: Array) -> Array:
    """The light on a surface with this normal, which may have any length: 0 … 1."""
    towards = nx * p.light_x + ny * p.light_y + nz * p.light_z
    towards /= np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-4
    return np.clip((towards + 0.3) / 1.3, 0, 1)


def _wall(p: SimpleNamespace, u: Array, v: Array) -> Array:
    along = 0.5 + 0.35 * (u * np.cos(p.wall_angle) + v * np.sin(p.wall_angle))
    image = p.wall + along[:, None] * (p.wall2 - p.wall)
    for i in range(4):
        r = p.spot_r[:, i]
        d = np.sqrt((u - p.spot_x[:, i]) ** 2 + (v - p.spot_y[:, i]) ** 2)
        _lay(image, p.spot, p.spot_cover[:, i] * _rise(d, 1.15 * r, 0.45 * r))
    return image


def _head(p: SimpleNamespace, X: Array, Y: Array) -> SimpleNamespace:
    """The head as a body of revolution with radius width · √(1 − |t|^power); |t| is 0 in the middle, 1 at the ends."""
    sin, cos = np.sin(p.yaw), np.cos(p.yaw)
    X = X - 0.12 * sin * Y  # the axis leans: the chin is in front of the crown
    below = Y > _MIDDLE
    t = np.where(below, (Y - _MIDDLE) / (1 - _MIDDLE), (_MIDDLE - Y) / (1 + _MIDDLE)) + 1e-6
    power = np.where(below, p.jaw, np.float32(2))
    tp = t**power
    radius2 = p.width**2 * (1 - tp)
    depth2 = radius2 - X * X
    slope = power * tp / t * np.where(below, 1 / (1 - _MIDDLE), -1 / (1 + _MIDDLE))
    Z = np.sqrt(np.maximum(depth2, 0))
    tube = np.where(below, p.width**2, radius2)  # without the narrowing of the jaw: where hair hangs
    return SimpleNamespace(
        distance=-depth2 / p.width**2 / np.sqrt(4 * X * X / p.width**4 + slope * slope + 1e-4),
        **{"X": X, "Y": Y, "x": X * cos - Z * sin, "y": Y - p.pitch * Z, "z": X * sin + Z * cos},
        **{"nx": X, "ny": 0.5 * p.width**2 * slope, "nz": Z},  # the outward normal, of any length
        rim=1
        - np.clip(Z / (np.sqrt(np.maximum(radius2, 0)) + 1e-3), 0, 1),  # 1 at the edge, where the surface turns away
        tube=X * sin + np.sqrt(np.maximum(tube - X * X, 0)) * cos,
    )


def _hair(p: SimpleNamespace, X: Array, Y: Array, head: SimpleNamespace, inside: Inside) -> SimpleNamespace:
    """The hair: its colour, what it covers in front of the face and behind it, and its shadow on the forehead."""
    x = head.X
    r = np.sqrt(X * X + (Y + 1.3) ** 2)  # strands run down from a point above the crown
    angle = np.arctan2(X - 0.25 * p.part, Y + 1.3) + p.wave * np.sin(7 * r + p.strand[:, 5])
    strands = sum(np.sin(f * angle + p.strand[:, i]) for i, f in enumerate((13, 23, 41))) / 3
    knots = np.sin(10 * X + 4 * np.sin(5 * Y + p.strand[:, 3])) * np.sin(10 * Y + 4 * np.sin(5 * X + p.strand[:, 4]))

    wide = p.width + p.thick * (0.75 + 0.25 * p.curl)
    lean = 1 + 0.8 * (x - p.part) * np.sign(p.sweep)
    high = np.maximum(-0.1 - Y, 0) / (0.9 + p.thick + p.lift * lean)
    low = np.maximum(Y + 0.1, 0)
    outer = (np.sqrt((x / wide) ** 2 + high * high) - 1 - 0.06 * p.curl * knots) * (p.width + p.thick)
    outer -= np.where(low > 0, 0.1 * p.thick * low + 0.25 * p.wave * np.sin(6 * Y + p.strand[:, 4]), 0)
    outer += 0.8 * p.thick * (p.length < 0.3) * _rise(Y - p.length, -0.4, 0.05)  # short hair ends thin
    bottom = Y - p.length - 0.08 * strands + 0.25 * np.maximum(np.abs(x) - p.width, 0)
    bun = np.sqrt((X - p.bun_x) ** 2 + (Y - p.bun_y) ** 2) - p.bun_r + 0.02 * strands
    behind = inside(np.minimum(np.maximum(outer, bottom), bun)) * (p.cover > 0.5)

    line = p.hairline + p.sweep * (head.x - 0.35 * p.part) - 0.2 * p.temple * head.x**2 + p.ragged * strands
    temples = 1 - _rise(head.tube / p.width, 0.22, 0.62)
    line += temples * (p.length - line)  # at the sides the hair hangs down to its length
    under = head.y - line

    y = (Y + 0.15) / (0.95 + p.thick)
    z = np.sqrt(np.maximum(1 - (x / wide) ** 2 - y * y, 0.03))
    light = p.ambient + (1.25 - p.ambient) * _light(p, x / wide, np.minimum(y, 0.5), z)
    gloss = 0.22 * p.gloss * _bump(r - 0.85 - 0.3 * p.light_y, 0, 0.16, 1) * (0.6 + 0.4 * strands)
    value = light * (0.86 + 0.16 * (strands + p.curl * (knots - strands)))
    return SimpleNamespace(
        front=inside(np.maximum(outer, under)) * p.cover,
        behind=behind,
        shadow=_rise(under, 0.16, -0.02) * p.cover * (p.thick > 0.02),
        colour=p.hair * value[:, None] + (gloss * light)[:, None] * (0.5 + p.hair),
    )


def _body(p: SimpleNamespace, image: Array, dx: Array, dy: Array, inside: Inside) -> None:
    lit = p.ambient + (1 - p.ambient) * np.clip(0.75 + 0.5 * dx * p.light_x, 0, 1)
    far = np.abs(dx)
    neck = far - p.neck - 3.5 * np.maximum(dy - 0.95, 0) ** 2
    chin = (1 - 0.45 * _rise(dy, 1.25, 0.85)) * np.maximum(1 - 0.25 * (dx / p.neck) ** 2, 0.6)
    _lay(image, p.skin * (lit * chin)[:, None], inside(np.maximum(neck, 0.4 - dy)))
    edge = p.shoulder - dy + p.slope * np.minimum(far, 1.2) ** 2 - 0.08 * _rise(far, p.neck + 0.5, p.neck)
    across = far / p.neck
    opening = dy - p.shoulder - p.collar * (1 - np.where(p.vee > 0, across, across * across))
    stripe = p.stripes * _rise(np.sin(p.stripe_f * dy), -0.3, 0.3)
    fold = lit * (1 - 0.08 * np.sin(5 * dx + 3 * dy))
    colour = (p.cloth + stripe[:, None] * (p.cloth2 - p.cloth)) * fold[:, None]
    _lay(image, colour, inside(np.maximum(edge, np.where(across < 1.3, -opening, np.float32(-1)))))


def _face(p: SimpleNamespace, image: Array, g: SimpleNamespace, hair_shadow: Array, inside: Inside) -> None:
    """Paint the head with its features into the part of the picture that holds it."""
    _ears(p, image, g, inside)
    skin = np.zeros_like(image) + p.skin
    far = np.abs(g.x)
    cheeks = _bump(far - 0.42, g.y - 0.27, 0.24, 0.19) + 0.35 * _bump(g.x, g.y - p.nose_y, 0.16, 0.12)
    _darken(skin, p.blush * cheeks, _rgb(0.02, 0.5, 0.42))
    _beard(p, skin, g, far)
    glint = _eyes(p, skin, g, far, inside)
    _mouth(p, skin, g, far, inside)
    bump, across = _nose(p, skin, g)

    light = _light(p, g.nx + 0.1 * bump * across / p.nose_w * np.cos(p.yaw), g.ny, g.nz)
    value = (p.ambient + (1.1 - p.ambient) * light) * (1 - 0.35 * g.rim**2) * (1 - 0.38 * hair_shadow)
    skin *= 1 - (1 - value)[:, None] * np.where(value[:, None] < 1, _rgb(0.82, 1, 1.08), 1)  # shadows are warm
    ridge = bump * _bump(across - 0.25 * np.sign(p.light_x), 0, 0.5, 1) * _rise(g.y, 0.05, p.nose_y)
    skin += (0.1 * light**8 + 0.13 * ridge)[:, None] * (0.4 + 0.6 * p.skin)
    _lay(skin, 1.0, glint)
    _lay(image, skin, inside(g.distance))
    if p.glasses.any():
        _glasses(p, image, g, inside)


def _darken(skin: Array, amount: Array, tone: Array) -> None:
    skin *= 1 - amount[:, None] * tone


def _ears(p: SimpleNamespace, image: Array, g: SimpleNamespace, inside: Inside) -> None:
    for side in (-1, 1):
        x, y = g.X - side * (p.width + 0.02) * np.cos(p.yaw), g.Y - 0.1
        lit = p.ambient + (1 - p.ambient) * np.clip(0.6 + 0.5 * side * p.light_x, 0, 1)
        lit = lit * (1 - 0.3 * _bump(x, y + 0.02, 0.045, 0.12))
        edge = np.sqrt((x / 0.085) ** 2 + (y / 0.2) ** 2) - 1
        _lay(image, p.skin * _rgb(0.98, 0.9, 0.88) * lit[:, None], inside(0.085 * edge))


def _beard(p: SimpleNamespace, skin: Array, g: SimpleNamespace, far: Array) -> None:
    if not (p.beard.any() or p.moustache.any()):
        return
    below = g.y - p.mouth_y
    jaw = _rise(g.y - p.beard_y - 0.35 * _rise(g.z, 0.3, 0.75), 0, 0.14)
    beside = np.maximum(_rise(below + 0.3 - 0.5 * far, 0, 0.1), _rise(below, 0.06, 0.14))
    cover = p.beard * np.clip(jaw * beside * (1 - _bump(g.x, below - 0.01, 0.26, 0.11)), 0, 1)
    lip = p.moustache * _bump(np.maximum(far - 0.16, 0), below + 0.095 - 0.6 * far * far, 0.07, 0.045)
    grain = 0.68 + 0.12 * np.sin(60 * g.x + 7 * np.sin(9 * g.y)) * np.sin(25 * g.y)
    _lay(skin, p.hair * grain[:, None], np.maximum(cover, lip))


def _eyes(p: SimpleNamespace, skin: Array, g: SimpleNamespace, far: Array, inside: Inside) -> Array:
    """Paint both eyes and brows at once, with x growing outwards; return the cover of the glints in them."""
    x, y, side = far - p.eye_x, g.y - p.eye_y, np.sign(g.x)
    _darken(skin, 0.26 * _bump(x + 0.05, y + 0.06, 0.22, 0.1), _rgb(0.75, 1, 1))
    _darken(skin, 0.2 * p.old * _bump(x, y - 0.12, 0.13, 0.035), _rgb(1, 1, 1))
    _lay(skin, p.lips * 0.6, p.shadow * _bump(x, y + 0.07, 0.16, 0.05))

    along = (x - 0.005) / 0.19
    fall = np.where(along < 0.3, np.float32(0.45), np.float32(2)) * (along - 0.3) ** 2
    curve = y + p.brow_y + p.brow_arch * (1 - fall) + 0.2 * p.brow_tilt * along
    brow = np.maximum(np.abs(curve) - p.brow_w * np.clip(1.15 - 0.55 * along, 0.3, 1.4), 0.19 * (np.abs(along) - 1))
    _lay(skin, p.brow, 0.9 * inside(brow))

    y = y + p.slant * x
    s = x / p.eye_w
    arc = np.maximum(1 - s * s, -0.5) * p.eye_h
    up = -arc * (1 - 0.45 * p.squint) * (1.05 - 0.12 * s)
    down = arc * (0.62 - 0.6 * p.squint) * (1 + 0.15 * s)
    white = inside(np.maximum(np.maximum(up - y, y - down), (np.abs(s) - 1) * p.eye_w))
    ball = 0.93 - 0.25 * _rise(y, 0, -0.06) - 0.12 * s * s
    _lay(skin, ball[:, None] * _rgb(1, 0.97, 0.95), white)
    iris_x, iris_y = x - side * p.gaze_x + 0.006, y - p.gaze_y + 0.008
    d = np.sqrt(iris_x * iris_x + iris_y * iris_y)
    _lay(skin, p.iris * (1.15 - 0.5 * _rise(d, 0.04, 0.066))[:, None], white * inside(d - 0.067))
    _lay(skin, 0.03, white * inside(d - 0.031))
    lash = np.maximum(np.abs(y - up + 0.006) - 0.011 - 0.006 * p.lash, (np.abs(s) - 1.08) * p.eye_w)
    _lay(skin, p.brow * 0.25, p.lash * inside(lash))
    crease = np.maximum(np.abs(y - up * 1.1 + p.crease) - 0.008, (np.abs(s) - 1) * p.eye_w)
    under = np.maximum(np.abs(y - down - 0.008) - 0.006, (np.abs(s) - 0.9) * p.eye_w)
    _lay(skin, p.skin * 0.57, np.maximum(0.45 * inside(crease), 0.3 * inside(under)))
    glint_x = g.x - side * p.eye_x - 0.022 * np.sign(p.light_x)
    return 0.9 * white * inside(np.sqrt(glint_x**2 + (iris_y + 0.022) ** 2) - 0.014)


def _mouth(p: SimpleNamespace, skin: Array, g: SimpleNamespace, far: Array, inside: Inside) -> None:
    x, y = g.x / p.mouth_w, g.y - p.mouth_y
    arc = np.maximum(1 - x * x, 0)
    y = y + 0.075 * p.smile * (x * x - 0.35)  # now y is measured from the line between the lips
    gap, full = p.open * arc, np.sqrt(arc)
    low = 0.6 * gap + p.lower * full
    top = -0.4 * gap - p.upper * full * (1 - 0.3 * _bump(x, 0, 0.22, 1))
    ends = (np.abs(x) - 1) * p.mouth_w
    tint = 1 - 0.18 * _rise(y, 0, -0.03) + 0.1 * _bump(x, y - 0.6 * gap - 0.5 * p.lower, 0.5, 0.02)
    _lay(skin, p.lips * tint[:, None], inside(np.maximum(np.maximum(top - y, y - low), ends)))
    dark = inside(np.maximum(np.abs(y - 0.1 * gap) - 0.5 * gap - 0.007, ends))
    _lay(skin, p.lips * 0.32, dark * (0.75 + 0.25 * _rise(p.open, 0, 0.02)))
    teeth = inside(np.maximum(np.abs(y + 0.16 * gap) - 0.3 * gap + 0.004, ends + 0.05)) * _rise(p.open, 0.005, 0.03)
    _lay(skin, _rgb(0.95, 0.93, 0.89) * (1 - 0.25 * x * x)[:, None], teeth)
    folds = _bump(far - 0.14 - 0.42 * (g.y - p.nose_y + 0.05), g.y - (p.nose_y + p.mouth_y) / 2, 0.035, 0.13)
    folds = folds * (0.25 + 0.75 * np.clip(p.smile, 0, 1)) * (0.5 + 0.8 * p.old)
    corners = _bump(far - p.mouth_w - 0.01, y, 0.03, 0.03)
    _darken(skin, 0.16 * _bump(x, y - low - 0.03, 0.7, 0.03) + 0.25 * corners + 0.22 * folds, _rgb(0.8, 1, 1))


def _nose(p: SimpleNamespace, skin: Array, g: SimpleNamespace) -> tuple[Array, Array]:
    """Paint the nose, which moves further than the face when the head turns; return its height, and x per width."""
    rise = _rise(g.y, -0.1, p.nose_y)
    x, y = g.x - 0.22 * np.sin(p.yaw) * rise, g.y - p.nose_y
    across = x / (p.nose_w * (0.42 + 0.5 * rise))
    wings = _bump(np.abs(x) - p.nose_w, y - 0.01, 0.02, 0.045)
    holes = _bump(np.abs(x) - 0.5 * p.nose_w, y - 0.055, 0.034, 0.02)
    below = _bump(x, y - 0.085, 1.1 * p.nose_w, 0.035)
    _darken(skin, 0.18 * wings + 0.6 * holes + 0.22 * below, _rgb(0.85, 1, 1))
    return p.nose_h * _bump(across, 0, 1, 1) * rise * _rise(y, 0.09, 0.01), across


def _glasses(p: SimpleNamespace, image: Array, g: SimpleNamespace, inside: Inside) -> None:
    y = g.y - p.eye_y - 0.02
    far = np.abs(g.x - 0.1 * np.sin(p.yaw)) - p.eye_x - 0.01
    a, b = (far / p.rim_w) ** 2, (y / p.rim_h) ** 2
    circle, square = np.sqrt(a + b), np.sqrt(np.sqrt(a * a + b * b))
    glass = (circle + p.square * (square - circle) - 1) * p.rim_h
    bridge = np.maximum(np.abs(y + 0.06) - 0.8 * p.rim, far + 0.95 * p.rim_w)
    arms = np.maximum(np.abs(y + 0.05) - p.rim, np.maximum(0.9 * p.rim_w - far, -0.15 - g.z))
    here = p.glasses * inside(g.distance - 0.04)
    _lay(image, p.lens, here * inside(glass) * (0.1 + 0.78 * p.dark))
    _lay(image, p.frame, here * inside(np.minimum(np.minimum(np.abs(glass) - p.rim, bridge), arms)))
