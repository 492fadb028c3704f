"""Writes fixtures.json: small .npy files as NumPy itself writes them, in base64, beside what they hold.

    python make_fixtures.py        (NumPy 1.24 or newer)
"""

import base64
import io
import json
import pathlib

import numpy as np
from numpy.lib import format as npy


def encoded(array, version=None):
    out = io.BytesIO()
    npy.write_array(out, array, version=version)
    return base64.b64encode(out.getvalue()).decode()


def numbers(array, version=None):
    return {
        "npy": encoded(array, version),
        "shape": array.shape,
        "values": array.astype("float64").ravel(order="C").tolist(),
    }


grid = np.arange(12).reshape(4, 3)
tables = {}
for descr in "<f2 >f2 <f4 >f4 <f8 >f8 |i1 <i2 >i2 <i4 >i4 <i8 >i8 |u1 <u2 >u2 <u4 >u4 <u8 >u8".split():
    values = grid if descr[1] == "u" else (grid - 5) / (2 if descr[1] == "f" else 1)
    tables[descr] = numbers(values.astype(descr))
    tables[descr + " fortran"] = numbers(np.asfortranarray(values.astype(descr)))
tables["|b1"] = numbers(grid % 2 == 0)
tables["version 2"] = numbers(grid.astype("<f4"), (2, 0))
tables["version 3"] = numbers(grid.astype("<f4"), (3, 0))
tables["half extremes"] = numbers(np.array([[65504, 6e-8, -6.1e-5, 0.333, -0.0]], dtype="<f2"))

words = ["wolf", "ape", "Ünze", "ape", "élan"]
labels = {
    "<U": words,
    ">U": words,
    "|S": ["b", "a", "ccc", "a"],
}

fixtures = {
    "tables": tables,
    "arrays": {
        "scalar": numbers(np.array(7.5)),
        "cube": numbers(np.arange(24, dtype="<i4").reshape(2, 3, 4)),
        "cube fortran": numbers(np.asfortranarray(np.arange(24, dtype="<i4").reshape(2, 3, 4))),
    },
    "strings": {
        descr: {"npy": encoded(np.array(values).astype(descr)), "values": values} for descr, values in labels.items()
    },
    "refused": {
        "object": encoded(np.array([["a", 1]], dtype=object)),
        "complex": encoded(np.ones((2, 2), dtype="complex64")),
        "string": encoded(np.array([["a", "b"]])),
        "record": encoded(np.zeros(3, dtype=[("a", "<f4"), ("shape", "<i4")])),
        "date": encoded(np.zeros((2, 2), dtype="datetime64[D]")),
    },
    # What numpy.save makes of [[0, 1, 2], [3, 4, 5]] as float32: the writer's bytes are the same.
    "saved": encoded(np.arange(6, dtype="<f4").reshape(2, 3)),
}
path = pathlib.Path(__file__).with_name("fixtures.json")
path.write_text(json.dumps(fixtures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
