"""Threads, forks, signals and failures: the engine as a guest in a Python process."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from common import network, points

import hessquik_rs as hq
from hessquik_rs import _native

LARGE = 20_000


def evaluate_in_child(x, send):
    jet = network().evaluate(x)
    send.send((jet.hessian.sum(), hq.num_threads()))
    send.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_forked_processes_evaluate():
    x = points(LARGE)
    wanted = network().evaluate(x).hessian.sum()  # the pool of the parent has its threads now
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=evaluate_in_child, args=(x, send))
        child.start()
        assert receive.poll(60), "the child hangs"
        assert receive.recv() == (wanted, hq.num_threads())
        child.join(60)
        assert child.exitcode == 0
    assert network().evaluate(x).hessian.sum() == wanted


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_forks_of_forks_and_networks_made_before():
    net, x = network(), points(LARGE)
    wanted = net.evaluate(x, "laplacian").laplacian
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        same = (net.evaluate(x, "laplacian").laplacian == wanted).all()
        if grandchild != 0:
            same = same and os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_pools_of_processes():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(network(), np.split(points(LARGE), 4))
    np.testing.assert_array_equal(np.concatenate(parts), network()(points(LARGE)))


def test_spawned_processes_get_pickled_networks():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(network(), (points(),)), network()(points()))


INTERRUPTED = """
    import os, signal, sys, threading, time
    import hessquik_rs as hq, numpy as np
    net = hq.Network(hq.fully_connected([20, 128, 128, 128, 1], last="identity"), seed=0)
    x = np.zeros((3_000_000, 20))
    calls = {
        "evaluate": lambda: net.evaluate(x, "laplacian"),
        "out": lambda: net.evaluate(x, "laplacian", out={"laplacian": np.empty((len(x), 1))}),
        "pullback": lambda: net.pullback(x, {"laplacian": np.ones((len(x), 1))}),
    }
    call = calls[sys.argv[1]]
    net.evaluate(x[:1000])
    sent = []
    def interrupt():
        time.sleep(0.5)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        call()
        print("finished")
    except KeyboardInterrupt:
        print("interrupted after", time.monotonic() - sent[0])
    assert np.isfinite(net.evaluate(x[:10_000]).value).all()
"""


@pytest.mark.parametrize("call", ["evaluate", "out", "pullback"])
def test_ctrl_c_stops_long_calls(call):
    code = textwrap.dedent(INTERRUPTED)
    done = subprocess.run([sys.executable, "-c", code, call], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("interrupted after"), done.stdout
    # far from the many seconds that the call would take
    assert float(done.stdout.split()[-1]) < 5.0


def test_signal_handlers_of_the_user_run_during_long_calls():
    net, x, seen = network(), points(400_000), []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        while not seen:
            net.evaluate(x)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen


def test_other_threads_run_meanwhile():
    net, x = network(), points(1_000_000)
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.monotonic()
    net.evaluate(x)
    end = time.monotonic()
    done.set()
    thread.join()
    # with the lock held there would be one at most
    assert sum(start < t < end for t in ticks) > 3


def test_many_threads_share_a_network():
    net, x = network(), points(3000)
    wanted = net.evaluate(x)
    gradient = net.pullback(x, {"laplacian": np.ones((3000, 2))})

    def work(i):
        if i % 2:
            return all((a == b).all() for a, b in zip(net.evaluate(x), wanted, strict=True))
        return (net.pullback(x, {"laplacian": np.ones((3000, 2))}).weights == gradient.weights).all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))


def test_weights_change_between_evaluations_and_never_within():
    """Each result belongs to one setting of all weights, however threads interleave."""
    net, x = network(), points(2000)
    theta = [net.flat_weights() * s for s in (1.0, 0.5)]
    wanted = []
    for t in theta:
        net.set_flat_weights(t)
        wanted.append(net.evaluate(x, "hessian").hessian)
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for t in theta:
                net.set_flat_weights(t)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(60):
            found = net.evaluate(x, "hessian").hessian
            assert any((found == w).all() for w in wanted)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("small", [True, False])
def test_a_bug_of_the_engine_is_an_exception(small):
    with pytest.raises(hq.errors.InternalError, match="asked for by a test") as caught:
        _native.fail(small)
    assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, Exception)
    assert network().evaluate(points(LARGE)).value.shape == (LARGE, 2)
