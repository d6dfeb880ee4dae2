"""The Python package from many threads at once: evaluations, pullbacks, new weights, errors; results stay right and
memory flat.

    python hardening/python_threads.py [seconds, 600] [threads, 16]
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import hessquik_rs as hq
import numpy as np

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 16

layers = [hq.single(3, 16, "tanh"), hq.resnet(16, 3, "gelu"), hq.single(16, 2)]
fixed, moving = (hq.Network(layers, seed=0) for _ in range(2))
x = np.random.default_rng(0).normal(size=(500, 3))
wanted = fixed.evaluate(x, "hessian").hessian
bars = {"laplacian": np.ones((500, 2))}
gradient = fixed.pullback(x, bars).weights
theta = [moving.flat_weights() * s for s in (1.0, 0.5)]
either = []
for t in theta:
    moving.set_flat_weights(t)
    either.append(moving.evaluate(x, "hessian").hessian)

calls = wrong = 0
lock, stop = threading.Lock(), threading.Event()


def work(number):
    global calls, wrong
    turn = number
    while not stop.is_set():
        turn += 1
        kind = turn % 5
        if kind == 0:
            right = (fixed.evaluate(x, "hessian").hessian == wanted).all()
        elif kind == 1:
            right = (fixed.pullback(x, bars).weights == gradient).all()
        elif kind == 2:
            found = moving.evaluate(x, "hessian").hessian
            right = any((found == w).all() for w in either)
        elif kind == 3:
            moving.set_flat_weights(theta[turn // 5 % 2])
            right = True
        else:
            try:
                moving.evaluate(x[:, :2])
                right = False
            except hq.errors.ShapeError:
                right = True
        with lock:
            calls, wrong = calls + 1, wrong + (not right)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


memory = []
with ThreadPoolExecutor(threads) as pool:
    workers = [pool.submit(work, i) for i in range(threads)]
    for _ in range(20):
        time.sleep(seconds / 20)
        memory.append(resident())
    stop.set()
    for worker in workers:
        worker.result()
early, late = max(memory[:2]), max(memory)
print(
    f"{seconds:.0f} s, {threads} threads: {calls} calls, {wrong} wrong; {early:.1f} MiB early, at most {late:.1f} MiB"
)
sys.exit(wrong > 0 or late > early + 16)
