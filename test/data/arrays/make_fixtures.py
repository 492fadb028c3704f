"""Writes fixtures.json: small files of NumPy, safetensors, AnnData and h5py, gzipped and in base64, all with the same rows.

    python make_fixtures.py        (numpy 2, safetensors 0.8, ml_dtypes, anndata 0.12, h5py 3)
"""

import base64
import gzip
import json
import pathlib
import tempfile

import anndata
import h5py
import ml_dtypes
import numpy as np
import pandas as pd
import scipy.sparse
from safetensors.numpy import save_file

random = np.random.default_rng(0)
# Multiples of 1/8 below 8, without -0: exact in each element type, also in bfloat16.
rows = random.integers(-64, 64, (12, 4)) / 8 * (random.random((12, 4)) < 0.6) + 0.0
pca = random.integers(-64, 64, (12, 2)) / 8
kinds = ["B", "NK", "T"]
codes = [0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2]
classes = [kinds[code] for code in codes]
folder = pathlib.Path(tempfile.mkdtemp())
files = {}


def keep(name):
    files[name] = base64.b64encode(gzip.compress((folder / name).read_bytes(), 9, mtime=0)).decode()


arrays = {"x": rows.astype("f4"), "other": pca, "y": np.array(codes), "words": np.array(classes)}
np.savez(folder / "stored.npz", **arrays)
np.savez_compressed(folder / "deflated.npz", **arrays)
np.savez(folder / "single.npz", x=np.asfortranarray(rows), y=np.array(codes))
np.savez(folder / "objects.npz", x=rows, about=np.array({"a": 1}, dtype=object))
scipy.sparse.save_npz(folder / "sparse.npz", scipy.sparse.csr_matrix(rows))
types = {"F16": "f2", "F32": "f4", "F64": "f8", "I8": "i1", "I64": "i8", "BF16": ml_dtypes.bfloat16}
tensors = {name: (rows if "F" in name else np.round(rows)).astype(dtype) for name, dtype in types.items()}
save_file({**tensors, "label": np.array(codes), "BOOL": rows > 0}, folder / "many.safetensors")
save_file({"x": rows.astype("f4")}, folder / "one.safetensors", {"format": "np"})

obs = pd.DataFrame(
    {"kind": pd.Categorical(classes), "batch": classes, "number": codes, "flag": pd.array([True, None] * 6, "boolean")},
    index=[f"cell{i}" for i in range(12)],
)
var = pd.DataFrame(index=["gene1", "gene2", "gene3", "gene4"])
for name, matrix, options in [
    ("dense", rows, {"compression": "gzip"}),
    ("csr", scipy.sparse.csr_matrix(rows), {}),
    ("csc", scipy.sparse.csc_matrix(rows), {}),
]:
    data = anndata.AnnData(matrix, obs=obs, var=var, obsm={"X_pca": pca}, layers={"twice": 2 * rows})
    data.write_h5ad(folder / f"{name}.h5ad", **options)
with h5py.File(folder / "plain.h5", "w") as file:
    file["deep/rows"] = rows.astype(">f8")
    file["deep/kinds"] = np.array(classes, dtype="S2")
    file.create_dataset("chunked", data=np.round(rows).astype("i8"), chunks=(5, 3), compression="gzip")
    file.create_dataset("lzf", data=rows, compression="lzf")
    file["elsewhere"] = h5py.ExternalLink("other.h5", "/x")

for path in sorted(folder.iterdir()):
    keep(path.name)
fixtures = {"rows": rows.ravel().tolist(), "pca": pca.ravel().tolist(), "classes": classes, "files": files}
target = pathlib.Path(__file__).with_name("fixtures.json")
target.write_text(json.dumps(fixtures, indent=1) + "\n", encoding="utf-8")
