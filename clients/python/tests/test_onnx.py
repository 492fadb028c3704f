"""An exported model in ONNX Runtime, and the lines of docs/usage.md that use it, beside what predict says of the same rows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from dpmesh import DPMesh, _command

ROOT = Path(__file__).parents[3]


class Exported(unittest.TestCase):
    def test_labels_and_probabilities_are_those_of_predict(self) -> None:
        rows = np.load(ROOT / "examples/mnist/mnist_umap10.npy")[:6000]
        with tempfile.TemporaryDirectory() as folder:
            model = DPMesh(workers=1, draw_report=False).fit(rows[:3000])
            path = f"{folder}/x.onnx"
            _command.run_command(["export", str(model.run_directory_), "--onnx", path])
            onnx.checker.check_model(onnx.load(path), full_check=True)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            label, probabilities = session.run(["label", "probabilities"], {"rows": rows})
            np.save(f"{folder}/new.npy", rows[-50:])
            shown = self.lines_of_docs(folder)
        self.assertGreaterEqual(np.mean(label == model.predict(rows)), 0.9999)
        self.assertLess(np.abs(probabilities - model.predict_proba(rows)).max(), 1e-4)
        self.assertTrue(shown.startswith(str(label[-50:-40])), shown)

    def lines_of_docs(self, folder: str) -> str:
        text = (ROOT / "docs/usage.md").read_text()
        [lines] = re.findall(r"```python\n(import numpy as np, onnxruntime.*?)```", text, re.DOTALL)
        before = os.getcwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                exec(lines, {})
        finally:
            os.chdir(before)
        return shown.getvalue()


if __name__ == "__main__":
    unittest.main()
