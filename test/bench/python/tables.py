"""Makes a table of known clusters: tables.py NAME FOLDER SEED.

Writes the rows as FOLDER/NAME.npy (or .csv) and their classes as FOLDER/NAME-labels.npy, and prints both paths as JSON.
"""
import json
import sys
from pathlib import Path

import numpy as np
from sklearn import datasets

ROWS = 6000
# A table without structure needs more: only with many rows do wrong splits become significant.
ROWS_WITHOUT_STRUCTURE = 20_000


def classes(rng, shares):
    """ROWS classes in random order, with exactly these shares of the rows (the last class has the rest)."""
    sizes = np.floor(np.array(shares[:-1]) * ROWS).astype(int)
    labels = np.repeat(np.arange(len(shares)), [*sizes, ROWS - sizes.sum()])
    return rng.permutation(labels)


def around(rng, centres, labels):
    """Standard normal around the centre of each row's class."""
    centres = np.asarray(centres, dtype=float)
    return centres[labels] + rng.standard_normal((len(labels), centres.shape[1]))


def stripes(rng):
    """Two clusters 20 sd apart on one axis; the other is 60 sd wide and says nothing."""
    labels = classes(rng, [0.5, 0.5])
    return np.c_[around(rng, [[-10], [10]], labels), 60 * rng.standard_normal(ROWS)], labels


def wide_axes(rng):
    """Four clusters at the corners of a square of 8 sd, and three axes of sd 20 that say nothing."""
    labels = classes(rng, [0.25] * 4)
    square = around(rng, [[0, 0], [0, 8], [8, 0], [8, 8]], labels)
    return np.c_[square, 20 * rng.standard_normal((ROWS, 3))], labels


def customers(rng):
    """Four segments by two rates with two levels each; age and basket are the same in all of them, and much wider."""
    labels = classes(rng, [0.25] * 4)
    returns = np.array([0.2, 0.75])[labels // 2] + 0.05 * rng.standard_normal(ROWS)
    discount = np.array([0.2, 0.8])[labels % 2] + 0.06 * rng.standard_normal(ROWS)
    age = 42 + 13 * rng.standard_normal(ROWS)
    basket = 80 + 30 * rng.standard_normal(ROWS)
    return {"return_rate": returns, "discount_rate": discount, "age": age, "basket": basket}, labels


def wide_column(width):
    def table(rng):
        labels = classes(rng, [1 / 3] * 3)
        return np.c_[around(rng, [[-7], [0], [7]], labels), width * rng.standard_normal(ROWS)], labels

    return table


def minority(rng):
    """5 % of the rows are 9 sd away; two more axes of sd 15 say nothing."""
    labels = classes(rng, [0.05, 0.95])
    return np.c_[around(rng, [[9], [0]], labels), 15 * rng.standard_normal((ROWS, 2))], labels


def uniform_axis(rng):
    """30 % and 70 % of the rows, 8 sd apart, beside an axis on which all are uniform."""
    labels = classes(rng, [0.3, 0.7])
    return np.c_[around(rng, [[8], [0]], labels), rng.uniform(-40, 40, ROWS)], labels


def outliers(rng):
    """Five clusters in two dimensions, and ten rows (the last class) at a distance of 10,000, in any direction."""
    labels = classes(rng, [0.2] * 5)
    rows = around(rng, [[0, 0], [15, 0], [0, 15], [-15, 0], [0, -15]], labels)
    angle = rng.uniform(0, 2 * np.pi, 10)
    rows, labels = np.r_[rows, 1e4 * np.c_[np.cos(angle), np.sin(angle)]], np.r_[labels, np.full(10, 5)]
    order = rng.permutation(len(rows))
    return rows[order], labels[order]


def unlike_sizes(rng):
    """One cluster has 5,400 rows; four around it have 300, 150, 100 and 50."""
    labels = classes(rng, [300 / ROWS, 150 / ROWS, 100 / ROWS, 50 / ROWS, 0.9])
    return around(rng, [[12, 0], [0, 12], [-12, 0], [0, -12], [0, 0]], labels), labels


def without_structure(draw):
    def table(rng):
        return draw(rng), np.zeros(ROWS_WITHOUT_STRUCTURE, dtype=int)

    return table


def blobs(clusters):
    """Round blobs whose centres are 10 sd apart or more, uniform in a square with three times the room that they need."""

    def table(rng):
        side = 10 * np.sqrt(3 * clusters)
        centres = np.empty((0, 2))
        while len(centres) < clusters:
            centre = rng.uniform(0, side, 2)
            if not len(centres) or np.hypot(*(centres - centre).T).min() >= 10:
                centres = np.r_[centres, [centre]]
        rows = max(ROWS, 100 * clusters)
        return datasets.make_blobs(rows, centers=centres, random_state=int(rng.integers(2**31)))

    return table


def real(load):
    return lambda rng: load(return_X_y=True)


N = ROWS_WITHOUT_STRUCTURE
TABLES = {
    "stripes": stripes,
    "wide-axes": wide_axes,
    "customers": customers,
    "wide-column-3": wide_column(3),
    "wide-column-30": wide_column(30),
    "wide-column-900": wide_column(900),
    "minority": minority,
    "uniform-axis": uniform_axis,
    "outliers": outliers,
    "unlike-sizes": unlike_sizes,
    "uniform-2": without_structure(lambda rng: rng.uniform(size=(N, 2))),
    "uniform-10": without_structure(lambda rng: rng.uniform(size=(N, 10))),
    "gaussian-2": without_structure(lambda rng: rng.standard_normal((N, 2))),
    "gaussian-10": without_structure(lambda rng: rng.standard_normal((N, 10))),
    # Multivariate: one factor per row, so that the contours are round.
    "student-5": without_structure(
        lambda rng: rng.standard_normal((N, 5)) / np.sqrt(rng.chisquare(3, (N, 1)) / 3)
    ),
    "blobs-30": blobs(30),
    "blobs-100": blobs(100),
    "blobs-300": blobs(300),
    "iris": real(datasets.load_iris),
    "wine": real(datasets.load_wine),
    "breast-cancer": real(datasets.load_breast_cancer),
}


def main(name, folder, seed):
    rows, labels = TABLES[name](np.random.default_rng(int(seed)))
    stem = str(Path(folder) / name)
    if isinstance(rows, dict):
        data = f"{stem}.csv"
        columns = np.column_stack(list(rows.values()))
        np.savetxt(data, columns, "%.6g", ",", header=",".join(rows), comments="")
    else:
        data = f"{stem}.npy"
        np.save(data, rows.astype("<f4"))
    np.save(f"{stem}-labels.npy", labels.astype("<i4"))
    print(json.dumps({"data": data, "labels": f"{stem}-labels.npy"}))


main(*sys.argv[1:])
