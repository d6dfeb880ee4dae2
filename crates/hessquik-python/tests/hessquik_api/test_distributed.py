"""Training under DistributedDataParallel: two processes, each with half of every batch, are one with all of it."""

import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch_cases import close, distributed_steps, training_setup

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch was built without torch.distributed")


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_two_processes_equal_one(optimizer):
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(distributed_steps, args=(2, folder, optimizer), nprocs=2)
        found = [torch.load(Path(folder) / f"{rank}.pt") for rank in range(2)]
    f, loss, batches = training_setup()
    stepper = getattr(torch.optim, optimizer)(f.parameters(), lr=0.01)
    before = {n: p.detach().clone() for n, p in f.named_parameters()}
    for x in batches:
        stepper.zero_grad()
        loss(f, x).backward()
        stepper.step()
    wanted = dict(f.named_parameters())
    for weights in found:
        assert list(weights) == list(wanted)
        close(weights.values(), wanted.values(), 1e-11)
    assert all(not torch.equal(before[n], wanted[n]) for n in wanted)
