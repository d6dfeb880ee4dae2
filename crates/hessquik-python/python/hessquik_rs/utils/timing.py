"""The cost of a Hessian, with these networks and with automatic differentiation."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import activations as act
from .. import layers as lay
from .. import networks as net


def setup_device_and_gradient(f: net.NN, network_wrapper: str = "hessQuik", device: str = "cpu") -> torch.nn.Module:
    """The network on a device, in a wrapper: ``hessQuik`` (none), ``PytorchAD`` or ``PytorchHessian``.

    >>> import hessquik_rs.networks as net
    >>> from hessquik_rs.utils.timing import setup_device_and_gradient
    >>> type(setup_device_and_gradient(net.resnetNN(4, 2), network_wrapper="PytorchAD")).__name__
    'NNPytorchAD'
    """
    f = f.to(device)
    if network_wrapper == "PytorchAD":
        return net.NNPytorchAD(f)
    if network_wrapper == "PytorchHessian":
        return net.NNPytorchHessian(f)
    if network_wrapper != "hessQuik":
        raise ValueError(f"network_wrapper is {network_wrapper!r}, wanted 'hessQuik', 'PytorchAD' or 'PytorchHessian'")
    return f


def setup_resnet(in_features: int, out_features: int, width: int = 16, depth: int = 4) -> net.NN:
    """The residual network of the timing tests.

    >>> from hessquik_rs.utils.timing import setup_resnet
    >>> len(setup_resnet(2, 1)[1])
    4
    """
    return net.NN(
        lay.singleLayer(in_features, width, act=act.antiTanhActivation()),
        net.resnetNN(width, depth, h=0.5, act=act.tanhActivation()),
        lay.singleLayer(width, out_features, act=act.identityActivation()),
    )


def setup_fully_connected(in_features: int, out_features: int, width: int = 16, depth: int = 4) -> net.NN:
    """The fully connected network of the timing tests.

    >>> from hessquik_rs.utils.timing import setup_fully_connected
    >>> len(setup_fully_connected(2, 1))
    5
    """
    return net.fullyConnectedNN([in_features] + depth * [width] + [out_features], act=act.tanhActivation())


def setup_icnn(in_features: int, out_features: int, width: int = 16, depth: int = 4) -> net.NN:
    """The input convex network of the timing tests, which has one output.

    >>> from hessquik_rs.utils.timing import setup_icnn
    >>> setup_icnn(2, 1).dim_output()
    1
    """
    if out_features > 1:
        raise ValueError(f"out_features is {int(out_features)}, wanted 1: the ICNN example has scalar output")
    return net.NN(
        net.ICNN(in_features, [None, *depth * [width]], act=act.tanhActivation()),
        lay.quadraticICNNLayer(in_features, width, rank=2),
    )


def setup_network(
    in_features: int,
    out_features: int,
    width: int,
    depth: int,
    network_type: str = "resnet",
    network_wrapper: str = "hessQuik",
    device: str = "cpu",
) -> torch.nn.Module:
    """The network of one timing test: type ``resnet``, ``fully_connected`` or ``icnn``.

    >>> from hessquik_rs.utils.timing import setup_network
    >>> setup_network(2, 1, 16, 4, network_type="icnn").dim_input()
    2
    """
    types: dict[str, Callable[..., net.NN]] = {
        "resnet": setup_resnet,
        "fully_connected": setup_fully_connected,
        "icnn": setup_icnn,
    }
    if network_type not in types:
        raise ValueError(f'network_type is {network_type!r}, wanted "resnet", "fully_connected", or "icnn"')
    f = types[network_type](in_features, out_features, width, depth)
    return setup_device_and_gradient(f, network_wrapper=network_wrapper, device=device)


def trials(f: torch.nn.Module, x: Tensor, num_trials: int, clear_memory: bool, wait: Callable[[], Any]) -> Tensor:
    """Seconds (num_trials) for value, gradient and Hessian, after one untimed call."""
    seconds = torch.zeros(num_trials + 1)
    for i in range(num_trials + 1):
        start = time.perf_counter()
        f(x, do_gradient=True, do_Hessian=True)
        wait()
        seconds[i] = time.perf_counter() - start
    if clear_memory:
        del f, x
        gc.collect()
        torch.cuda.empty_cache()
    return seconds[1:]


def timing_test_cpu(f: torch.nn.Module, x: Tensor, num_trials: int = 10, clear_memory: bool = True) -> Tensor:
    """Seconds (num_trials) for value, gradient and Hessian on the CPU, after one untimed call.

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils.timing import timing_test_cpu
    >>> timing_test_cpu(net.resnetNN(4, 2), torch.randn(10, 4), num_trials=3).shape
    torch.Size([3])
    """
    return trials(f, x, num_trials, clear_memory, lambda: None)


def timing_test_gpu(f: torch.nn.Module, x: Tensor, num_trials: int = 10, clear_memory: bool = True) -> Tensor:
    """The same on a GPU; each trial waits for it (``torch.cuda.synchronize``)."""
    return trials(f, x, num_trials, clear_memory, torch.cuda.synchronize)


def timing_test(
    in_feature_range: Sequence[int] | Tensor,
    out_feature_range: Sequence[int] | Tensor,
    nex: int = 10,
    num_trials: int = 10,
    width: int = 16,
    depth: int = 4,
    network_wrapper: str = "hessQuik",
    network_type: str = "resnet",
    device: str = "cpu",
    clear_memory: bool = True,
) -> dict[str, Any]:
    """Times value, gradient and Hessian of a network for each number of inputs and outputs.

    - **in_feature_range**, **out_feature_range**: numbers of inputs and of outputs
    - **nex** number of points. Default: 10
    - **num_trials** trials of each network. Default: 10
    - **width**, **depth** of the network. Default: 16 and 4
    - **network_wrapper** ``hessQuik`` (default), ``PytorchAD`` or ``PytorchHessian``
    - **network_type** ``resnet`` (default), ``fully_connected`` or ``icnn``
    - **device** Default: ``cpu``
    - **clear_memory** whether to free memory after each network

    Returns a dictionary with ``timing_trials`` (inputs, outputs, num_trials), ``timing_trials_mean`` and
    ``timing_trials_std`` (inputs, outputs), all in seconds, and ``in_feature_range``, ``out_feature_range``, ``nex``,
    ``num_trials``.

    >>> from hessquik_rs.utils import timing_test
    >>> timing_test([1, 2], [1], num_trials=3)["timing_trials"].shape
    torch.Size([2, 1, 3])
    """
    seconds = torch.zeros(len(in_feature_range), len(out_feature_range), num_trials)
    for j, out_features in enumerate(out_feature_range):
        for i, in_features in enumerate(in_feature_range):
            f = setup_network(int(in_features), int(out_features), width, depth, network_type, network_wrapper, device)
            x = torch.randn(nex, int(in_features), device=device)
            timed = timing_test_cpu if device == "cpu" else timing_test_gpu
            seconds[i, j] = timed(f, x, num_trials=num_trials, clear_memory=clear_memory)
    return {
        "timing_trials": seconds,
        "timing_trials_mean": seconds.mean(dim=-1),
        "timing_trials_std": seconds.std(dim=-1),
        "in_feature_range": in_feature_range,
        "out_feature_range": out_feature_range,
        "nex": nex,
        "num_trials": num_trials,
    }
