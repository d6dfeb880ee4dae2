"""What type checkers and editors find: names of results, modes and activations that do not exist."""

import itertools
import subprocess
import sys
import textwrap
from typing import get_args

import pytest

import hessquik_rs as hq
from hessquik_rs import request
from hessquik_rs._several import Several
from hessquik_rs.architecture import ActivationName

PLAIN = ("value", "gradient", "hessian", "packed", "diagonal", "laplacian", "factored")

RIGHT = """
    import hessquik_rs as hq
    import numpy as np

    net = hq.Network([hq.single(2, 3, "tanh"), hq.resnet(3, 2, hq.softplus(2.0)), hq.single(3, 1)], seed=0)
    x = np.zeros((5, 2))
    net.evaluate(x, "value,hessian")
    net.evaluate(x, "hessian,value")
    net.evaluate(x, "value,gradient,laplacian", mode="backward")
    net.evaluate(x, ("value", "laplacian"), partials=[(0, 1)], mode=(1, [2]))
    net.evaluate(x, ["packed"], partials=np.array([[0, 1]]), block=(np.array([0]), range(1)))
    net.pullback(x, {"value": np.ones((5, 1))}, "value", mode="sites")
    for part, jet in net.stream(x, "value", mode="auto"):
        jet.value
    net.explain(5, "hessian", mode="forward")
"""

WRONG = """
    net.evaluate(x, "hesian")
    net.evaluate(x, ("value", "hesian"))
    net.evaluate(x, "value,hesian")
    net.evaluate(x, mode="reverse")
    net.evaluate(x, "value", modes="forward")
    net.pullback(x, {}, "laplace")
    net.stream(x, "hesian")
    net.explain(5, "hesian")
    net.explain(5, mode="reverse")
    hq.single(2, 3, "tahn")
    hq.fully_connected([2, 3], "maxout")
    hq.Network(hq.single(2, 3), seeds=1)
    net.save("net.safetensors", replace=True)
"""


def test_several_results_in_one_text_are_known_to_type_checkers():
    texts = [",".join(pair) for pair in itertools.permutations(PLAIN, 2)]
    texts += [",".join(names) for n in range(3, 8) for names in itertools.combinations(PLAIN, n)]
    assert get_args(Several) == tuple(texts)


def test_the_names_are_those_of_the_engine():
    net = hq.Network(hq.single(2, 3, "tanh"), seed=0)
    with pytest.raises(ValueError) as caught:
        net.evaluate([[0.0, 0.0]], "nothing")
    known = str(caught.value).split("known are ")[1].split(";")[0].split(", ")
    assert sorted(known) == sorted(get_args(request.Name))
    with pytest.raises(ValueError) as caught:
        net.evaluate([[0.0, 0.0]], mode="nothing")
    known = str(caught.value).split("known are ")[1].split(";")[0]
    assert all(name in known for name in get_args(request.ModeName))
    for name in get_args(ActivationName):
        assert hq.Network(hq.single(2, 3, name)).dim_output == 3


def test_type_checkers_find_names_that_do_not_exist(tmp_path):
    pytest.importorskip("mypy")
    wrong = textwrap.dedent(WRONG).strip().splitlines()
    start = len(textwrap.dedent(RIGHT).splitlines())
    file = tmp_path / "use.py"
    file.write_text(textwrap.dedent(RIGHT) + "\n".join(wrong) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", f"--cache-dir={tmp_path}", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert found == set(range(start + 1, start + 1 + len(wrong))), done.stdout + done.stderr
