"""Sparse matrices of scipy, and AnnData."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from dpmesh import DPMesh
from scipy import sparse
from support import QUICK, blobs, warm_commands

X, _ = blobs()
setUpModule = warm_commands


class Cells(unittest.TestCase):
    expected: np.ndarray

    @classmethod
    def setUpClass(cls) -> None:
        cls.expected = DPMesh(**QUICK).fit(X).labels_

    def test_sparse_rows(self) -> None:
        for form in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
            model = DPMesh(**QUICK).fit(form(X))
            np.testing.assert_array_equal(model.labels_, self.expected)
            np.testing.assert_array_equal(model.predict(form(X)), self.expected)
            means = [X[model.labels_ == cluster].mean(0) for cluster in range(3)]
            np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)

    def test_an_annotated_matrix(self) -> None:
        barcodes = [f"CELL-{i}" for i in range(len(X))]
        cells = anndata.AnnData(sparse.csr_array(np.eye(len(X), 7)), obs=pd.DataFrame(index=barcodes))
        with self.assertRaisesRegex(ValueError, r"^X has no obsm\['X_pca'\]: .* columns=\"X\"; it has X \(240, 7\)$"):
            DPMesh(**QUICK).fit(cells)
        cells.obsm["X_other"] = X
        by_name = DPMesh(**QUICK, columns="X_other").fit(cells)
        np.testing.assert_array_equal(by_name.labels_, self.expected)
        cells.obsm["X_sparse"] = sparse.csr_array(X)
        np.testing.assert_array_equal(DPMesh(**QUICK, columns=["X_sparse"]).fit(cells).labels_, self.expected)
        with self.assertRaisesRegex(ValueError, r"^columns=\['X_sparse', 'X_other'\] has 2 names, .* give its name alone$"):
            DPMesh(**QUICK, columns=["X_sparse", "X_other"]).fit(cells)
        cells.obsm["X_pca"] = X
        model = DPMesh(**QUICK).fit(cells)
        np.testing.assert_array_equal(model.labels_, self.expected)
        np.testing.assert_array_equal(model.predict(cells), self.expected)
        np.testing.assert_array_equal(model.predict(X), self.expected)
        for row in model.clusters_[0]["exemplars"]:
            self.assertEqual(row["id"], barcodes[row["row"]])
        # Labels go back, and are true classes of another fit.
        cells.obs["cluster"] = pd.Categorical(model.labels_)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.h5ad"
            cells.write_h5ad(path)
            again = DPMesh(**QUICK, columns="X_pca", labels=f"{path}:cluster").fit(path)
            self.assertEqual(again.result_["ari"], 1)


    def test_genes_name_clusters(self) -> None:
        cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD3", "CD4", "CD8"]))
        cells.layers["scaled"] = sparse.csr_array(2 * X)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.h5ad"
            cells.write_h5ad(path)
            for array in ("X", "scaled"):
                model = DPMesh(**QUICK, columns=array).fit(cells)
                self.assertEqual(model.names_, DPMesh(**QUICK, columns=array).fit(path).names_)
                self.assertRegex(model.names_[0], "CD[348]")
                np.testing.assert_array_equal(model.predict(cells), model.labels_)


if __name__ == "__main__":
    unittest.main()
