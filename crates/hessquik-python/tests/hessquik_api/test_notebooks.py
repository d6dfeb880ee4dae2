"""The notebooks run from the first cell to the last, in a short setting."""

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")
FOLDER = Path(__file__).resolve().parents[4] / "notebooks"


@pytest.mark.parametrize("name", ["hermite_interpolation", "pinn", "timing", "writing_a_layer"])
def test_notebook(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HESSQUIK_SHORT", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    stored = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in stored), "notebooks are kept without outputs"
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert pictures
    assert os.environ["HESSQUIK_SHORT"] == "1"


def test_no_notebook_is_forgotten():
    assert len(list(FOLDER.glob("*.ipynb"))) == 4
