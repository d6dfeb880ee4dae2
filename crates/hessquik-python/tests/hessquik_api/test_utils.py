"""Checks, tables, training and timing beside hessQuik's."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch_cases import ALL, close, ours

from hessquik_rs.utils import timing, training
from hessquik_rs.utils.laplacian_check import laplacian_check_using_hessian

pytest.importorskip("hessQuik")
import hessQuik.activations  # noqa: E402
import hessQuik.layers  # noqa: E402
import hessQuik.networks  # noqa: E402
import hessQuik.utils  # noqa: E402

theirs = SimpleNamespace(act=hessQuik.activations, lay=hessQuik.layers, net=hessQuik.networks, utils=hessQuik.utils)


def build(p):
    return p.net.NN(
        p.lay.singleLayer(3, 8, act=p.act.tanhActivation()),
        p.net.resnetNN(8, 2, h=0.5, act=p.act.softplusActivation()),
        p.lay.singleLayer(8, 2),
    )


def printed(capsys, function, *args, **kwargs):
    torch.manual_seed(5)
    result = function(*args, **kwargs)
    return result, capsys.readouterr().out


def shape_of(table):
    """A table with every digit of a mantissa or error left out, since rounding differs."""
    return re.sub(r"\d\.\d+( x|e-\d\d)", r"#\1", table)


CHECKS = [
    ("input_derivative_check", {"do_Hessian": True}),
    ("input_derivative_check", {"do_Hessian": True, "forward_mode": False, "num_test": 9, "base": 3.0}),
    ("input_derivative_check", {}),
    ("input_derivative_check_finite_difference", {"do_Hessian": True}),
    ("input_derivative_check_finite_difference", {"forward_mode": False}),
    ("input_derivative_check_finite_difference_laplacian", {"do_Laplacian": True}),
    ("input_derivative_check_finite_difference_laplacian", {}),
    ("network_derivative_check", {"do_Hessian": True}),
    ("network_derivative_check", {"forward_mode": False, "num_test": 12}),
    ("directional_derivative_check", {}),
    ("directional_derivative_laplacian_check", {}),
]


def first_lines(table, n=6):
    """The numbers of the first steps, which are far from rounding."""
    return [line.split() for line in table.splitlines()[1:n] if " x 2^(" in line]


@pytest.mark.parametrize(("name", "options"), CHECKS, ids=str)
def test_checks_print_what_hessquik_prints(name, options, capsys):
    f, g = build(ours), build(theirs)
    g.load_state_dict(f.state_dict())
    x = torch.randn(5, 3)
    found, table = printed(capsys, getattr(ours.utils, name), f, x, verbose=True, **options)
    wanted, expected = printed(capsys, getattr(theirs.utils, name), g, x, verbose=True, **options)
    steps = table.count(" x 2^(")
    assert steps == expected.count(" x 2^(")
    assert first_lines(table) == first_lines(expected)
    if steps:
        # the last steps are rounding
        assert table.splitlines()[0] == expected.splitlines()[0]
        assert table.splitlines()[-1] == expected.splitlines()[-1]
        assert [len(line) for line in table.splitlines()[1:6]] == [len(line) for line in expected.splitlines()[1:6]]
    else:
        blank = [re.sub(r"\d\.\d{4}e-\d\d", "#", t) for t in (table, expected)]
        assert blank[0] == blank[1]
    if wanted is None:
        assert found == (True, True)
    else:
        assert found == (tuple(wanted) if isinstance(wanted, tuple) else wanted)
        assert bool(found)


@pytest.mark.parametrize("name", ["input_derivative_check", "input_derivative_check_finite_difference"])
def test_checks_of_activations_and_functions(name):
    check = getattr(ours.utils, name)
    if name == "input_derivative_check":
        assert check(ours.act.siluActivation(), torch.randn(5, 3), do_Hessian=True) == (True, True)

    def peaks(x, forward_mode=True, **kwargs):
        return ours.utils.peaks(x, **kwargs)

    assert check(peaks, 2 * torch.rand(5, 2), do_Hessian=True) == (True, True)


def wrong(x, do_gradient=False, do_Hessian=False, do_Laplacian=False, **kwargs):
    """x^3 with a wrong first and second derivative."""
    d = x.shape[1]
    return (
        x**3,
        torch.diag_embed(3.1 * x**2),
        torch.zeros(len(x), d, d, d) if do_Hessian else torch.zeros(len(x), 1, d),
    )


def test_checks_find_errors(capsys):
    x = torch.rand(5, 3) + 1
    assert ours.utils.input_derivative_check(wrong, x, do_Hessian=True, verbose=True) == (False, False)
    assert ours.utils.input_derivative_check_finite_difference(wrong, x, do_Hessian=True) == (False, False)
    assert ours.utils.input_derivative_check_finite_difference_laplacian(wrong, x, do_Laplacian=True) == (False, False)
    assert not any(ours.utils.directional_derivative_check(sometimes_wrong(), x, verbose=True))
    assert capsys.readouterr().out.count("FAILED.") == 6


def sometimes_wrong():
    """Right without directions, wrong along them."""
    f = ours.lay.resnetLayer(3, act=ours.act.tanhActivation())

    def call(x, v=None, **kwargs):
        results = f(x, v=v, **kwargs)
        return results if v is None else [2 * r for r in results]

    return call


def test_the_check_of_weights_leaves_them_alone():
    f = build(ours)
    before = ours.utils.extract_data(f).clone()
    assert ours.utils.network_derivative_check(f, torch.randn(5, 3), do_Hessian=True)
    assert torch.equal(before, ours.utils.extract_data(f))
    # gradients that were there do not disturb it
    assert ours.utils.network_derivative_check(f, torch.randn(5, 3), do_Hessian=True)


def test_laplacian_check(capsys):
    assert laplacian_check_using_hessian(build(ours), torch.randn(5, 3))
    assert capsys.readouterr().out.startswith("Laplacian PASSED! : rel. err = ")
    assert not laplacian_check_using_hessian(lambda x, **kw: wrong_trace(x, **kw), torch.rand(5, 3))


def wrong_trace(x, do_Hessian=False, **kwargs):
    return x, None, torch.ones(5, 3, 3, 3) if do_Hessian else torch.ones(5, 1, 3)


def test_peaks():
    x = 6 * torch.rand(50, 2) - 3
    for kwargs in ({}, {"do_gradient": True}, {"do_gradient": True, "do_Hessian": True}):
        close(ours.utils.peaks(x, **kwargs), theirs.utils.peaks(x, **kwargs))
    with pytest.raises(ValueError, match=r"y has shape \[50, 3\], wanted \[n_s, 2\]"):
        ours.utils.peaks(torch.rand(50, 3))


def test_weights_as_a_vector():
    f, g = build(ours), build(theirs)
    g.load_state_dict(f.state_dict())
    theta = ours.utils.extract_data(f)
    assert torch.equal(theta, theirs.utils.extract_data(g))
    assert torch.equal(ours.utils.extract_data(f, "grad"), torch.zeros_like(theta))
    ours.utils.insert_data(f, 2 * theta)
    theirs.utils.insert_data(g, 2 * theta)
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))
    kept = 3 * theta
    ours.utils.insert_data(f, kept)
    with torch.no_grad():
        f[0].K.zero_()
    assert torch.equal(kept, 3 * theta)  # a copy was taken
    with pytest.raises(ValueError, match=rf"theta has shape \[3\], wanted \[{len(theta)}\]"):
        ours.utils.insert_data(f, torch.zeros(3))


def test_attributes_by_path():
    f = build(ours)
    assert ours.utils.module_getattr(f, ["1", "0", "layer", "K"]) is f[1][0].layer.K
    assert ours.utils.module_getattr(f, "1") is f[1]
    assert ours.utils.module_getattr(f, ["training"]) is True
    ours.utils.module_setattr(f, ["1", "0", "h"], 2.0)
    assert f[1][0].h == 2.0
    ours.utils.module_setattr(f, "note", 3)
    assert f.note == 3


def test_convert_to_base():
    numbers = (12.0, 0.25, 0.0, 1.0, 3e-16)
    for base in (2.0, 10.0):
        assert ours.utils.convert_to_base(numbers, base) == theirs.utils.convert_to_base(numbers, base)


@pytest.mark.parametrize("do_Hessian", [False, True])
@pytest.mark.parametrize("do_gradient", [False, True])
def test_headers(do_gradient, do_Hessian, capsys):
    options = {"do_gradient": do_gradient, "do_Hessian": do_Hessian, "verbose": True, "loss_weights": (1.0, 2.0, 0.5)}
    found, table = printed(capsys, ours.utils.print_headers, **options)
    wanted, expected = printed(capsys, theirs.utils.print_headers, **options)
    assert (found, table) == (wanted, expected)


def data(n):
    x = 6 * torch.rand(n, 2) - 3
    return x, torch.cat([r.reshape(n, -1) for r in ours.utils.peaks(x, do_gradient=True, do_Hessian=True)], dim=1)


@pytest.mark.parametrize("options", [{}, {"do_gradient": True}, {"do_gradient": True, "do_Hessian": True}], ids=str)
def test_training(options):
    x, y = data(20)
    results = []
    for p in (ours, theirs):
        torch.manual_seed(3)
        f = p.net.fullyConnectedNN([2, 8, 1], act=p.act.tanhActivation())
        optimizer = torch.optim.Adam(f.parameters(), lr=1e-2)
        losses = [
            p.utils.train_one_epoch(f, x, y, optimizer, batch_size=5, loss_weights=(1.0, 0.5, 0.25), **options)
            for _ in range(3)
        ]
        tests = p.utils.test(f, x, y, loss_weights=(1.0, 0.5, 0.25), **options)
        results.append(torch.tensor([*sum(losses, ()), *tests, *p.utils.extract_data(f).tolist()]))
    close(results[:1], results[1:], 1e-10)


def test_training_uses_every_sample():
    x, y = data(12)
    f = ours.net.fullyConnectedNN([2, 4, 1])
    wanted = ours.utils.test(f, x, y, do_gradient=True)
    still = torch.optim.SGD(f.parameters(), lr=0.0)
    found = ours.utils.train_one_epoch(f, x, y, still, batch_size=5, do_gradient=True)
    close([torch.tensor(found)], [torch.tensor(wanted)])
    assert found[0] == pytest.approx(found[1] + found[2])
    assert training.train_one_epoch is ours.utils.train_one_epoch


@pytest.mark.parametrize("wrapper", ["hessQuik", "PytorchAD", "PytorchHessian"])
@pytest.mark.parametrize("kind", ["resnet", "fully_connected", "icnn"])
def test_timing(kind, wrapper):
    options = {"nex": 3, "num_trials": 2, "width": 4, "depth": 2, "network_type": kind, "network_wrapper": wrapper}
    found = ours.utils.timing_test(torch.tensor([2, 3]), torch.tensor([1]), **options)
    # lists, since in hessQuik an ICNN adds to the tensor that its input_dim is
    wanted = theirs.utils.timing_test([2, 3], [1], **options)
    assert list(found) == list(wanted)
    for key in ("timing_trials", "timing_trials_mean", "timing_trials_std"):
        assert found[key].shape == wanted[key].shape
        assert (found[key] > 0).all()
    assert (found["nex"], found["num_trials"]) == (3, 2)
    assert found["timing_trials_mean"][1, 0] == pytest.approx(found["timing_trials"][1, 0].mean().item())


def test_timing_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="network_type is 'rnn'"):
        timing.setup_network(2, 1, 4, 2, network_type="rnn")
    with pytest.raises(ValueError, match="network_wrapper is 'jax'"):
        timing.setup_network(2, 1, 4, 2, network_wrapper="jax")
    with pytest.raises(ValueError, match="out_features is 2, wanted 1"):
        timing.setup_icnn(2, 2)


def test_names_of_hessquik_are_here():
    import importlib
    import pkgutil

    import hessquik_rs

    missing = []
    for package in ("activations", "layers", "networks", "utils"):
        there = importlib.import_module(f"hessQuik.{package}")
        for module in pkgutil.iter_modules(there.__path__, f"{package}."):
            source = importlib.import_module(f"hessQuik.{module.name}")
            mine = importlib.import_module(f"hessquik_rs.{module.name}")
            for name, value in vars(source).items():
                if getattr(value, "__module__", None) == source.__name__ and not hasattr(mine, name):
                    missing.append(f"{module.name}.{name}")
        public = [n for n in vars(there) if not n.startswith("_") and n not in ("torch", "nn")]
        here = importlib.import_module(f"hessquik_rs.{package}")
        missing += [f"{package}.{n}" for n in public if not hasattr(here, n)]
    assert not missing
    assert hessquik_rs and ALL
