"""Double precision and a fixed seed for every test of the PyTorch packages."""

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)
