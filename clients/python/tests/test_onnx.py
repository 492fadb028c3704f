"""An exported model in ONNX Runtime, and the lines of docs/usage.md that use it, beside what predict says of the same rows."""

from __future__ import annotations

import os
import re
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from dpmesh import DPMesh, _command
from support import SEARCH, warm_commands

ROOT = Path(__file__).parents[3]
setUpModule = warm_commands


class Exported(unittest.TestCase):
    def test_labels_and_probabilities_are_those_of_predict(self) -> None:
        rows = np.load(ROOT / "docs/examples/mnist/mnist_umap10.npy")[:1200]
        with tempfile.TemporaryDirectory() as folder:
            model = DPMesh(**SEARCH).fit(rows[:600])
            path = f"{folder}/x.onnx"
            _command.run_command(["export", str(model.run_directory_), "--onnx", path])
            onnx.checker.check_model(onnx.load(path), full_check=True)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            label, probabilities = session.run(["label", "probabilities"], {"rows": rows})
            np.save(f"{folder}/new.npy", rows[-50:])
            found = self.label_of_docs(folder)
        self.assertGreaterEqual(np.mean(label == model.predict(rows)), 0.9999)
        self.assertLess(np.abs(probabilities - model.predict_proba(rows)).max(), 1e-4)
        np.testing.assert_array_equal(found, label[-50:])

    def label_of_docs(self, folder: str) -> np.ndarray:
        text = (ROOT / "docs/usage.md").read_text()
        [lines] = re.findall(r"```python\n(import numpy as np, onnxruntime.*?)```", text, re.DOTALL)
        before = os.getcwd()
        os.chdir(folder)
        found: dict[str, np.ndarray] = {}
        try:
            exec(lines, found)
        finally:
            os.chdir(before)
        return found["label"]


if __name__ == "__main__":
    unittest.main()
