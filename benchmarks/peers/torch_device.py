"""Where the peers on PyTorch compute: on the CPU, or on the GPU that `gpu.py` names."""

import os

import torch

DEVICE = os.environ.get("HESSQUIK_PEER_DEVICE", "cpu")


def finished(call):
    """The call, which ends when the device has computed its results."""
    if DEVICE == "cpu":
        return call

    def waited():
        out = call()
        torch.cuda.synchronize()
        return out

    return waited


def on_host(arrays):
    """Named tensors as arrays of numpy."""
    return {name: tensor.cpu().numpy() for name, tensor in arrays.items()}
