"""The example notebook runs, and shows what it should."""

from __future__ import annotations

import unittest
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[3] / "docs" / "examples" / "notebook" / "clusters.ipynb"


class Notebook(unittest.TestCase):
    def test_the_example(self) -> None:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        nbformat.validate(notebook)
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        pages = [output.data.get("text/html", "") for output in outputs if "data" in output]
        self.assertTrue(any(page.startswith("<iframe sandbox=") for page in pages), "the report is not shown")
        self.assertTrue(any("<progress" in page and "K 4" in page for page in pages), "there is no bar")


if __name__ == "__main__":
    unittest.main()
