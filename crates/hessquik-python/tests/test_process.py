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
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
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


def threads_of_this_process():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("Threads:")).split()[1])


@pytest.fixture
def own_threads():
    before = hq.num_threads()
    yield
    hq.set_num_threads(before)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="threads are counted as Linux shows them")
def test_pools_that_were_replaced_end(own_threads):
    net, x = network(), points(LARGE)
    wanted = net(x)
    hq.set_num_threads(3)
    few = threads_of_this_process()
    for i in range(150):
        hq.set_num_threads(2 + i % 3)
        if i % 50 == 0:
            np.testing.assert_array_equal(net(x), wanted)
    hq.set_num_threads(3)
    end = time.monotonic() + 20.0
    while threads_of_this_process() > few and time.monotonic() < end:
        time.sleep(0.05)
    assert threads_of_this_process() <= few and hq.num_threads() == 3


def test_pools_are_replaced_while_others_work(own_threads):
    net, x = network(), points(LARGE)
    wanted, stop = net(x), threading.Event()

    def change():
        while not stop.is_set():
            for count in (1, 2, 3):
                hq.set_num_threads(count)

    with ThreadPoolExecutor(4) as pool:
        changing = pool.submit(change)
        found = [pool.submit(net, x) for _ in range(30)]
        try:
            for result in found:
                np.testing.assert_array_equal(result.result(), wanted)
        finally:
            stop.set()
        changing.result()


@pytest.mark.parametrize("count", [0, -1, 10_000, 2**40, 2**70, 2.0, "2", None])
def test_absurd_numbers_of_threads_are_refused(count, own_threads):
    before = hq.num_threads()
    with pytest.raises(
        hq.errors.SettingError, match=f"the number of threads is {count}, expected a whole number, at l"
    ):
        hq.set_num_threads(count)
    assert hq.num_threads() == before


def test_numbers_of_threads_of_numpy(own_threads):
    hq.set_num_threads(np.int64(2))
    assert hq.num_threads() == 2


def test_absurd_numbers_of_threads_in_the_environment():
    code = "import hessquik_rs as hq; hq.num_threads()"
    environment = {**os.environ, "RAYON_NUM_THREADS": "50000"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)
    assert "the environment variable RAYON_NUM_THREADS is 50000, expected at most" in done.stderr


def test_weights_by_name_from_several_threads_are_all_set():
    net = network()
    names = net.weight_names()
    rounds, failures = 300, []
    barrier = threading.Barrier(len(names))

    def change(name):
        shape = net.weights()[name].shape
        for i in range(rounds):
            barrier.wait()
            net.set_weights({name: np.full(shape, float(i))})
            barrier.wait()
            if not (net.weights()[name] == i).all():
                failures.append((name, i))

    threads = [threading.Thread(target=change, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (net.flat_weights() == rounds - 1).all()


SLOW = """
    import os, signal, sys, threading, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
    import hessquik_rs as hq, numpy as np
    net = hq.Network(hq.fully_connected([2000, 2000, 2000, 2000, 1], last="identity"), seed=0)
    x, hessian = np.zeros((2, 2000)), np.empty((2, 2000, 2000, 1))
    net(x)
    calls = {
        "evaluate": lambda: net.evaluate(x[:1], "hessian"),
        "several": lambda: net.evaluate(x, "hessian"),
        "out": lambda: net.evaluate(x, "hessian", out={"hessian": hessian}),
        "pullback": lambda: net.pullback(x[:1], {"hessian": np.ones((1, 2000, 2000, 1))}),
        "check": lambda: net.check(points=2),
        "load": lambda: hq.Network.load(sys.argv[2]),
    }
    sent = []
    def interrupt():
        time.sleep(0.3)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    try:
        calls[sys.argv[1]]()
        print("finished after", time.monotonic() - start)
    except KeyboardInterrupt:
        print("interrupted after", time.monotonic() - sent[0], flush=True)
        hessian[:] = 7.0
        time.sleep(0.5)
        print("untouched" if (hessian == 7.0).all() else "written")
    sys.stdout.flush()
    os._exit(0)  # what was left behind need not be waited for
"""


@pytest.mark.parametrize("call", ["evaluate", "several", "out", "pullback", "check", "load"])
def test_ctrl_c_is_heard_whatever_a_tile_takes(call, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = textwrap.dedent(SLOW)
    done = subprocess.run([sys.executable, "-c", code, call, pipe], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("interrupted after") and float(first.split()[-1]) < 2.0, done.stdout
    assert second == "untouched"


def test_slow_tiles_give_what_fast_ones_give():
    """Work that can be left behind has copies of its points and results: the same numbers, to the last bit."""
    net = hq.Network(hq.fully_connected([400, 400, 400, 2], "tanh", last="identity"), seed=0)
    x = points(40, 400)
    jet = net.evaluate(x, "value,hessian")
    for i in (0, 13, 39):
        np.testing.assert_allclose(
            net.evaluate(x[i : i + 1], "hessian").hessian[0], jet.hessian[i], rtol=1e-9, atol=1e-12
        )
    out = {name: np.empty_like(array) for name, array in vars(jet).items()}
    again = net.evaluate(x, "value,hessian", out=out)
    assert (again.hessian == jet.hessian).all() and (again.value == jet.value).all()
    with pytest.raises(ValueError, match="hessian has shape"):
        net.evaluate(x, "hessian", out={"hessian": np.empty((40, 400, 400, 1))})


def test_models_come_through_pipes(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for dtype in ("float32", "float64"):
        net = network(dtype)
        net.save(tmp_path / dtype)
        writer = threading.Thread(target=lambda file=tmp_path / dtype: pipe.write_bytes(file.read_bytes()))
        writer.start()
        found = hq.Network.load(pipe)
        writer.join()
        assert found.dtype == dtype and (found.flat_weights() == net.flat_weights()).all()
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"not a model"))
    writer.start()
    with pytest.raises(hq.errors.ModelFileError, match="pipe.*not a safetensors file"):
        hq.Network.load(pipe)
    writer.join()
