"""A random search for requests that are slower than JAX: networks of every layer, requests, sizes, both precisions.

    python3 benchmarks/search.py 500 0                # 500 cases from seed 0
    python3 benchmarks/search.py 40 1 --only softmax  # of these, the cases whose text holds a word

Each case is a network, a request and a number of points, on one thread: evaluated, and pulled back to weights and
points with new weights at each call. The peer is JAX, jitted and batched, in several nestings of its modes, of which
the fastest counts. Results are compared before anything is timed, and both are timed in turns in one process. What is
below 1 is listed at the end; a number that JAX does not agree with ends the search. Needs `hessquik_rs` (a release
build) and `jax`.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

os.environ |= {"JAX_PLATFORMS": "cpu", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import hessquik_rs as hq
import jax
import jax.numpy as jnp
import jax_networks
import jax_requests
import numpy as np

jax.config.update("jax_enable_x64", True)

# floating-point operations of a case, at most: a call of JAX takes some seconds at worst
MOST = 4e9
# numbers in the results, and in what forward mode over forward mode holds of a layer, at most
LARGEST, HELD = 3e7, 1e8
# inputs above which nestings are left out that never win there, and take minutes to compile
WIDE = 40
ROUNDS = 6
TURN = 0.04  # seconds
TOLERANCE = {"f32": 2e-3, "f64": 1e-8}


def log_uniform(rng, low, high):
    """A size: all magnitudes alike."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high + 0.49))))


def network(layers):
    """A network of these layers, one after another."""
    return {"type": "network", "layers": list(layers)}


SMOOTH = ["tanh", "sin", "silu", "softplus", "gelu", "sigmoid", "anti_tanh", "mish", "gaussian"]


def plain(rng, d, m, widest=384):
    """Fully connected or residual layers."""
    act = str(rng.choice(SMOOTH))
    width, depth = log_uniform(rng, 1, widest), int(rng.integers(1, 6))
    if rng.random() < 0.5:
        return hq.fully_connected([d, *[width] * depth, m], act, last="identity")
    return network([hq.single(d, width, act), *[hq.resnet(width, 1, act, h=0.5)] * depth, hq.single(width, m)])


def embedded(rng, d, m):
    """Waves, and a network of these."""
    if rng.random() < 0.5:
        n = log_uniform(rng, 2, 128)
        return network([hq.fourier(d, n, 0.3, trained=True), plain(rng, 2 * n, m, 128)])
    periods = [2.0 if i == 0 or rng.random() < 0.5 else None for i in range(d)]
    harmonics = int(rng.integers(1, 4))
    waves = sum(p is not None for p in periods)
    return network([hq.periodic(periods, harmonics), plain(rng, 2 * harmonics * waves + d - waves, m, 128)])


def classifier(rng, d, m):
    n = log_uniform(rng, 2, 200)
    head = [hq.softmax(n)] if rng.random() < 0.6 else [hq.log_sum_exp(n)]
    layers = [plain(rng, d, n, 128), *head]
    return network(
        [*layers, hq.single(1 if head[0]["type"] == "log_sum_exp" else n, m)] if rng.random() < 0.4 else layers
    )


def gated(rng, d, m):
    width, depth = log_uniform(rng, 4, 128), int(rng.integers(1, 4))
    if rng.random() < 0.5:
        return network([hq.modified_mlp(d, width, depth, out_features=m)])
    return network([hq.single(d, width, "tanh"), hq.piratenet(width, depth, out_features=m)])


def normed(rng, d, m):
    tokens, features = int(rng.choice([1, 1, 2, 4])), log_uniform(rng, 2, 64)
    n = tokens * features
    return network([hq.single(d, n, "tanh"), hq.layer_norm(features, tokens), hq.single(n, n, "silu"), hq.single(n, m)])


def attentive(rng, d, m):
    tokens, heads, each = int(rng.integers(2, 9)), int(rng.choice([1, 2, 4])), int(rng.choice([2, 4, 8]))
    n = tokens * heads * each
    blocks = [hq.attention(tokens, heads * each, heads), hq.resnet(n, 1, "tanh")] * int(rng.integers(1, 3))
    return network([hq.single(d, n, "tanh"), *blocks, hq.single(n, m)])


def filtered(rng, d, m):
    kind = str(rng.choice(["fourier", "gabor"]))
    return network([hq.mfn(d, log_uniform(rng, 4, 128), int(rng.integers(2, 5)), kind, scale=2.0, out_features=m)])


def multiplied(rng, d, m):
    if d == 1:
        return network([hq.product_of([plain(rng, d, m, 64), plain(rng, d, m, 64)])])
    rank = log_uniform(rng, 2, 32)
    if rng.random() < 0.5:
        at = int(rng.integers(1, d))
        return network([hq.deeponet(plain(rng, at, m * rank, 128), plain(rng, d - at, m * rank, 128), m)])
    d = min(d, 5)
    return network([hq.separable([plain(rng, 1, m * rank, 64) for _ in range(d)], m)])


def bounded(rng, d, m):
    d = min(d, 8)
    lower = [0.0] + [float(x) if x < 0 else None for x in rng.uniform(-1, 1, d - 1)]
    upper = [float(x) if x > 1.5 else None for x in rng.uniform(1, 2, d)]
    return network([hq.boundary(plain(rng, d, m, 128), lower, upper)])


def combined(rng, d, m):
    kind = rng.integers(3)
    if kind == 0:
        inner = plain(rng, d, log_uniform(rng, 2, 64), 64)
        return network([hq.skip(inner), hq.single(jax_networks.outputs(inner) + d, m)])
    both = [plain(rng, d, m, 128), plain(rng, d, m, 64)]
    return network([hq.sum_of(both, [1.0, -0.5]) if kind == 1 else hq.product_of(both)])


def convex(rng, d, m):
    width, depth = log_uniform(rng, 2, 128), int(rng.integers(1, 5))
    if rng.random() < 0.4 and d > 1:
        at = int(rng.integers(1, d))
        return network([hq.picnn(at, d - at, [*[width] * depth, m], max(2, width // 2))])
    layers = [hq.icnn(d, [width] * depth)]
    return network([*layers, hq.quadratic_icnn(d, width, min(d, 10))] if rng.random() < 0.7 else layers)


def curved(rng, d, m):
    """Quadratic layers after, or instead of, others."""
    if rng.random() < 0.3:
        return network([hq.quadratic(d, log_uniform(rng, 1, d))])
    n = log_uniform(rng, 2, 128)
    return network([plain(rng, d, n, 128), hq.quadratic(n, log_uniform(rng, 1, n))])


NETWORKS = [embedded, classifier, gated, normed, attentive, filtered, multiplied, bounded, combined, convex, curved]


def draw(seed, number):
    """Case `number` of a search, its sizes such that it fits."""
    rng = np.random.default_rng([seed, number])
    d = log_uniform(rng, 1, 20) if rng.random() < 0.7 else log_uniform(rng, 10, 300)
    m = int(rng.choice([1, 1, 1, 2, 3, 8])) if rng.random() < 0.93 else log_uniform(rng, 30, 2000)
    family = plain if rng.random() < 0.35 else NETWORKS[rng.integers(len(NETWORKS))]
    layers = family(rng, d, m)
    net = hq.Network(layers, seed=int(rng.integers(2**31)))
    kind = str(rng.choice(list(jax_requests.KINDS)))
    d, m = net.dim_input, net.dim_output
    options, many = ask(rng, kind, d)
    dtype = "f32" if rng.random() < 0.6 else "f64"
    points = log_uniform(rng, 1, 20000)
    results = max(
        1, many * many if "hessian" in kind or kind == "directions" else d * len(options.get("products", [0]))
    )
    flops = 4.0 * net.n_weights * (many + 1) * (2 if m == 1 else min(m, many) + 1)
    widest = max([d, m, *(n for w in net.weights().values() for n in w.shape)])
    second = 1 if kind in ("value", "gradient") else many
    points = int(max(1, min(points, MOST / flops, LARGEST / (m * results), HELD / (many * second * widest))))
    return Case(number, family.__name__, layers, dtype, kind, options, points, int(rng.integers(2**31)))


def ask(rng, kind, d):
    """Options of a request, and about how many directions it needs."""
    if kind == "operator":
        b = rng.standard_normal((d, d))
        return {"operator": b @ b.T / d if rng.random() < 0.5 else (b + b.T) / 2}, d
    if kind == "partials":
        count = int(rng.choice([1, 1, 2, 5]))
        return {"partials": [tuple(int(i) for i in rng.integers(0, d, 2)) for _ in range(count)]}, 2 * count
    if kind == "products":
        count = int(rng.choice([1, 1, 2, 5, 20]))
        return {"products": rng.standard_normal((count, d))}, count
    if kind == "directions":
        count = int(rng.integers(1, min(d, 6) + 1))
        return {"directions": rng.standard_normal((count, d))}, count
    return {}, 1 if kind in ("value", "gradient") else d


class Case:
    """A network, a request, points."""

    def __init__(self, number, family, layers, dtype, kind, options, points, seed):
        self.number, self.family, self.layers, self.dtype = number, family, layers, dtype
        self.kind, self.options, self.points, self.seed = kind, options, points, seed
        self.type = {"f32": "float32", "f64": "float64"}[dtype]

    def __str__(self):
        sizes = [f"{name} {len(o)}" for name, o in self.options.items() if name != "operator"]
        text = f"{self.family}: {jax_networks.text(self.layers)}"
        kind = f"{self.kind} ({', '.join(sizes)})" if sizes else self.kind
        return f"{self.number:4d} {self.dtype} {kind} n{self.points} {text}"


def best_of(calls):
    """For each call the least seconds of it, all in turns; those far behind the fastest have no further turns."""
    best = [math.inf] * len(calls)
    for turn in range(ROUNDS):
        for i, call in enumerate(calls):
            if turn > 1 and i > 0 and best[i] > 2 * min(best[1:]):
                continue  # a nesting that cannot be the peer's best
            if turn > 2 and i > 0 and best[0] < best[i] / 20:
                continue  # how far ahead changes nothing
            end = time.perf_counter() + TURN
            while True:
                start = time.perf_counter()
                call()
                now = time.perf_counter()
                best[i] = min(best[i], now - start)
                if now > end:
                    break
            if best[i] > 1e-3:
                time.sleep(0.02)  # JAX gives large memory back after its answer
    return best


def differ(found, expected):
    """The largest difference, relative to the largest number."""
    size = float(np.abs(expected).max(initial=0.0))
    return float(np.abs(found - expected).max(initial=0.0)) / (size + 1e-30)


def measure(case, modes):
    """For evaluation and pullback the names of JAX's nestings, and the seconds of ours and of each; those of modes."""
    names, nestings = jax_requests.KINDS[case.kind]
    rng = np.random.default_rng(case.seed)
    net = hq.Network(case.layers, dtype=case.type, seed=case.seed)
    weights = {n: jnp.asarray(w) for n, w in net.weights().items()}
    flat = net.flat_weights()
    x = rng.uniform(-1, 1, (case.points, net.dim_input)).astype(case.type)
    options = {n: o.astype(case.type) if isinstance(o, np.ndarray) else o for n, o in case.options.items()}
    m, points = net.dim_output, jnp.asarray(x)

    def function(w):
        whole = lambda x: jax_networks.apply(case.layers, jax_networks.Weights(w), x)  # noqa: E731
        return whole if m > 1 else lambda x: whole(x)[0]

    jet = net.evaluate(x, names, **options)
    results = dict(zip(names.split(","), jet, strict=True))
    cotangents = {n: rng.standard_normal(r.shape).astype(case.type) for n, r in results.items()}
    evaluations = [lambda: net.evaluate(x, names, **options)]

    def pull():
        net.set_flat_weights(flat)  # a step of training has others each time
        return net.pullback(x, cotangents, names, **options)

    gradients = pull()
    by_name = gradients.by_name() | {"x": gradients.input}
    size = max(float(np.abs(g).max(initial=0)) for g in by_name.values())
    tolerance, found = TOLERANCE[case.dtype], []
    for name, (nesting, labels) in nestings(net.dim_input, case.options).items():
        if net.dim_input > WIDE and ("jacfwd(jacfwd)" in name or "jacrev(jacrev)" in name):
            continue

        def jets(w, x, nesting=nesting):
            return jax.vmap(nesting(function(w)))(x)

        evaluate = jax.jit(jets)
        try:
            out = jax.block_until_ready(evaluate(weights, points))
        except jax.errors.JaxRuntimeError as error:  # too little memory
            print(f"  {name}: {str(error)[:100]}")
            continue
        for (result, mine), label, array in zip(results.items(), labels, out, strict=True):
            difference = differ(mine, jax_requests.ours(array, label, result))
            assert difference < tolerance, f"{case}\n{name}: {result} differs by {difference:.1e}"
        found.append((name, labels, jets))
        evaluations.append(lambda f=evaluate: jax.block_until_ready(f(weights, points)))
    times = best_of(evaluations)
    # those that take more than twice as long do not become the fastest by reversing them
    near = [one for one, seconds in zip(found, times[1:], strict=True) if seconds < 2 * min(times[1:])]
    pullbacks = [pull]
    for name, labels, jets in near:

        def back(w, x, cotangents, jets=jets):
            return jax.vjp(jets, w, x)[1](cotangents)

        given = zip(cotangents.items(), labels, strict=True)
        given = tuple(jnp.asarray(jax_requests.theirs(c, label, r, m)) for (r, c), label in given)
        reverse = jax.jit(back)
        try:
            of_weights, of_points = jax.block_until_ready(reverse(weights, points, given))
        except jax.errors.JaxRuntimeError as error:
            print(f"  {name}, reversed: {str(error)[:100]}")
            continue
        for weight, theirs in (of_weights | {"x": of_points}).items():
            difference = np.abs(by_name[weight] - np.asarray(theirs)).max(initial=0) / (size + 1e-30)
            assert difference < tolerance, f"{case}\n{name}: gradient of {weight} differs by {difference:.1e}"
        pullbacks.append(lambda f=reverse, c=given: jax.block_until_ready(f(weights, points, c)))
    timed = {"evaluation": ([n for n, *_ in found], times)}
    timed["pullback"] = ([n for n, *_ in near], best_of(pullbacks) if near else [])
    mode = {}
    if modes:
        for one in ("forward", "backward", "sites"):
            try:
                net.evaluate(x, names, mode=one, **options)
                mode[one] = best_of([lambda one=one: net.evaluate(x, names, mode=one, **options)])[0]
            except hq.errors.HessquikError:
                pass
    jax.clear_caches()
    return timed, mode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="number of cases")
    parser.add_argument("seed", type=int, help="another seed gives other cases")
    parser.add_argument("--only", help="cases whose text holds this")
    parser.add_argument("--case", type=int, help="this case alone")
    parser.add_argument("--modes", action="store_true", help="also time the named modes of derivatives")
    parser.add_argument("--out", help="a file for the figures, as JSON lines")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    hq.set_num_threads(1)
    ratios, behind = {"evaluation": [], "pullback": []}, []
    out = open(args.out, "w") if args.out else None  # noqa: SIM115
    for number in range(args.count) if args.case is None else [args.case]:
        case = draw(args.seed, number)
        if args.only and args.only not in str(case):
            continue
        timed, mode = measure(case, args.modes)
        line = f"{case}"
        for what, (names, seconds) in timed.items():
            if not names:
                continue
            best = min(range(len(names)), key=lambda i: seconds[i + 1])
            ratio = seconds[best + 1] / seconds[0]
            ratios[what].append(ratio)
            text = f"{what} {ratio:.2f} ({1e6 * seconds[0]:.0f} us, JAX {1e6 * seconds[best + 1]:.0f} us {names[best]})"
            line += f"\n       {text}"
            if ratio < 1:
                behind.append((ratio, f"{case}\n       {text}"))
        ours = timed["evaluation"][1][0]
        if mode and min(mode.values()) < 0.9 * ours:
            line += f"\n       the automatic mode takes {1e6 * ours:.0f} us, {mode}"
        print(line, flush=True)
        if out:
            out.write(json.dumps({"case": str(case), "seconds": timed, "modes": mode}) + "\n")
            out.flush()
    print(f"\nslower than JAX: {len(behind)}")
    for _, text in sorted(behind, key=lambda one: one[0]):
        print(text)
    for what, of in ratios.items():
        if of:
            mean = math.exp(sum(map(math.log, of)) / len(of))
            print(f"{what}: geometric mean {mean:.2f} of {len(of)}, {sum(r < 1 for r in of)} below 1")


if __name__ == "__main__":
    main()
