"""Makes tables: table_files.py csv|parquet FOLDER.

csv: 1,000,000 × 17 numbers of four decimals, in ten clusters, as FOLDER/big.csv; prints its path and how long pandas reads it.
parquet: 10,000,000 × 32 float32 in 50 clusters, as 16 files in FOLDER/parts and as FOLDER/parts.npy; prints both paths.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd


def clustered(rng, rows, columns, centres):
    labels = rng.integers(0, len(centres), rows)
    return (centres[labels] + rng.standard_normal((rows, columns), np.float32)).astype(np.float32)


def csv(folder):
    rng = np.random.default_rng(0)
    rows = clustered(rng, 1_000_000, 17, 6 * rng.standard_normal((10, 17), np.float32))
    path = folder / "big.csv"
    pd.DataFrame(rows, columns=[f"c{i}" for i in range(17)]).to_csv(path, index=False, float_format="%.4f")
    started = time.perf_counter()
    pd.read_csv(path)
    return {"data": str(path), "pandas": time.perf_counter() - started}


def parquet(folder):
    rng = np.random.default_rng(0)
    centres = 6 * rng.standard_normal((50, 32), np.float32)
    parts = folder / "parts"
    parts.mkdir(exist_ok=True)
    files, each = 16, 625_000
    whole = np.lib.format.open_memmap(folder / "parts.npy", "w+", np.float32, (files * each, 32))
    for file in range(files):
        rows = clustered(rng, each, 32, centres)
        whole[file * each : (file + 1) * each] = rows
        pd.DataFrame(rows, columns=[f"c{i}" for i in range(32)]).to_parquet(parts / f"part-{file:02}.parquet")
    whole.flush()
    return {"parts": str(parts), "npy": str(folder / "parts.npy")}


print(json.dumps({"csv": csv, "parquet": parquet}[sys.argv[1]](Path(sys.argv[2]))))
