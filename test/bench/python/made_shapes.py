"""Sets of clusters of any shape whose truth is known, as they are made from it: `made(kind, seed)` has rows and classes from 1 on, 0 for noise.

Each kind has a set for every seed, of 2, 3, 5 or 10 columns by seed // 2, so that even and odd seeds have as many of each. In more columns
than a shape needs, all rows have its width in the others, and then all axes are turned at random. Gaps between shapes are some eight
times their standard deviation across; Gaussians overlap where it is said.
"""
import numpy as np

COLUMNS = [2, 3, 5, 10]


def circle(rng, rows, radius, width, centre=(0, 0)):
    angle = rng.uniform(0, 2 * np.pi, rows)
    distance = radius + width * rng.standard_normal(rows)
    return np.c_[distance * np.cos(angle), distance * np.sin(angle)] + centre


def ball(rng, rows, centre, sd):
    return np.asarray(centre, float) + sd * rng.standard_normal((rows, len(centre)))


def moon(rng, rows, radius, width, centre=(0, 0), turn=0.0):
    """Half a circle, open below where it is not turned."""
    angle = turn + rng.uniform(0, np.pi, rows)
    distance = radius + width * rng.standard_normal(rows)
    return np.c_[distance * np.cos(angle), distance * np.sin(angle)] + centre


def sphere(rng, rows, radius, width):
    direction = rng.standard_normal((rows, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * (radius + width * rng.standard_normal((rows, 1)))


def turned(rng, x):
    return x @ np.linalg.qr(rng.standard_normal((x.shape[1], x.shape[1])))[0]


# Each has a list of clusters (rows in two or three columns) and the standard deviation in further columns.


def rings(rng):
    """Two or three rings, in each other or side by side, half of the time with a Gaussian in the first."""
    width, count = 0.1, rng.integers(2, 4)
    if rng.random() < 0.5:
        parts = [circle(rng, 500 * (i + 1), 1 + i, width) for i in range(count)]
    else:
        parts = [circle(rng, 800, 1.2, width, (3.4 * i, 0)) for i in range(count)]
    return parts + ([ball(rng, 300, (0, 0), width)] if rng.random() < 0.5 else []), width


def arcs(rng):
    """Two to four half moons in a row, up and down in turn, of which each reaches into the next."""
    width = 0.055
    return [
        moon(rng, rng.integers(400, 900), 1, width, (1.25 * i, 0.25 * (2 * (i % 2) - 1)), np.pi * (i % 2))
        for i in range(rng.integers(2, 5))
    ], width


def spirals(rng):
    """Two or three arms, one and a half turns each, with rows evenly along them."""
    arms = rng.integers(2, 4)
    apart = 1.0
    width = apart / rng.uniform(9, 12)
    parts = []
    for arm in range(arms):
        # Of r = pitch·angle the length grows with the square of the angle.
        angle = np.sqrt(rng.uniform((0.6 * np.pi) ** 2, (3.6 * np.pi) ** 2, 1000))
        radius = apart * arms * angle / (2 * np.pi)
        phase = angle + 2 * np.pi * arm / arms
        parts.append(np.c_[radius * np.cos(phase), radius * np.sin(phase)] + width * rng.standard_normal((1000, 2)))
    return parts, width


def shells(rng):
    """A shell round a ball, a shell in a shell, or two rings that are linked; three columns at least."""
    width, variant = 0.1, rng.integers(3)
    if variant == 0:
        return [ball(rng, 500, (0, 0, 0), 0.3), sphere(rng, 2000, 2, width)], width
    if variant == 1:
        return [sphere(rng, 1000, 1, width), sphere(rng, 3000, 2.2, width)], width
    flat = [circle(rng, 1000, 1, width) for _ in range(2)]
    across = width * rng.standard_normal((2, 1000))
    return [np.c_[flat[0], across[0]], np.c_[flat[1][:, 0] + 1, across[1], flat[1][:, 1]]], width


def bananas(rng):
    """Two to four Gaussians bent along a parabola, one above the other."""
    width, bend, apart = 0.15, rng.uniform(0.4, 1), 1.3
    parts = []
    for i in range(rng.integers(2, 5)):
        rows = rng.integers(400, 1000)
        along = rng.standard_normal(rows)
        parts.append(np.c_[along, bend * along**2 + apart * i + width * rng.standard_normal(rows)])
    return parts, width


def grids(rng):
    """Gaussians at all places of a grid of 4 to 8 each way, 5 to 6 sd apart."""
    side, apart = rng.integers(4, 9), rng.uniform(5, 6)
    return [ball(rng, 60, (apart * i, apart * j), 1) for i in range(side) for j in range(side)], 1


def unbalanced(rng):
    """A ring or a wide Gaussian of 3,000 rows, and three to five small and dense Gaussians of 40 to 150."""
    wide = rng.random() < 0.5
    large = ball(rng, 3000, (0, 0), 1) if wide else circle(rng, 3000, 3, 0.2)
    count = rng.integers(3, 6)
    places = 2 * np.pi * np.arange(count) / count
    small = [
        ball(rng, rng.integers(40, 151), (6 * np.cos(place), 6 * np.sin(place)), 0.2) for place in places
    ]
    return [large, *small], 0.2


def gaussians(rng):
    """Three to eight Gaussians, each 2.8 to 3.8 sd from the nearest other: joining what overlaps has no right cluster."""
    centres = [np.zeros(2)]
    count = rng.integers(3, 9)
    while len(centres) < count:
        angle = rng.uniform(0, 2 * np.pi)
        centre = centres[rng.integers(len(centres))] + rng.uniform(2.8, 3.8) * np.array([np.cos(angle), np.sin(angle)])
        if min(np.linalg.norm(centre - other) for other in centres) >= 2.8:
            centres.append(centre)
    return [ball(rng, rng.integers(300, 900), centre, 1) for centre in centres], 1


def tails(rng):
    """Three to five clusters of heavy or no tails, apart: t with 4 degrees of freedom, Laplace, uniform squares."""
    parts = []
    for i in range(rng.integers(3, 6)):
        centre = np.array([12 * (i % 2), 12 * (i // 2)])
        normal = rng.standard_normal((600, 2))
        heavy = normal / np.sqrt(rng.chisquare(4, (600, 1)) / 4)
        draws = [heavy, rng.laplace(size=(600, 2)), rng.uniform(-2.5, 2.5, (600, 2))]
        parts.append(draws[rng.integers(3)] + centre)
    return parts, 1


def beside(rng):
    """A ring, a half moon and a pair of Gaussians 3 to 3.5 sd apart, beside each other."""
    width, sd = 0.12, 0.4
    apart = sd * rng.uniform(3, 3.5)
    return [
        circle(rng, 1000, 1.5, width),
        moon(rng, 600, 1.5, width, (5, -0.5)),
        ball(rng, 500, (0, 4), sd),
        ball(rng, 500, (apart, 4), sd),
    ], width


def noisy(rng):
    """Rings, half moons, bananas or Gaussians apart, and 5 to 30 % of rows uniform in the box round them (noise)."""
    shape = [rings, arcs, bananas, unbalanced][rng.integers(4)]
    return shape(rng)


KINDS = {
    shape.__name__: shape
    for shape in [rings, arcs, spirals, shells, bananas, grids, unbalanced, gaussians, tails, beside, noisy]
}


def made(kind, seed):
    """Rows (float32) in a random order, and their classes."""
    rng = np.random.default_rng([seed, *kind.encode()])
    parts, width = KINDS[kind](rng)
    labels = np.repeat(np.arange(1, len(parts) + 1), [len(part) for part in parts])
    x = np.concatenate(parts)
    more = COLUMNS[seed // 2 % len(COLUMNS)] - x.shape[1]
    if more > 0:
        x = np.c_[x, width * rng.standard_normal((len(x), more))]
    if kind == "noisy":
        count = int(len(x) * rng.uniform(0.05, 0.3))
        x = np.r_[x, rng.uniform(x.min(0), x.max(0), (count, x.shape[1]))]
        labels = np.r_[labels, np.zeros(count, int)]
    order = rng.permutation(len(x))
    return turned(rng, x)[order].astype("f4"), labels[order]
