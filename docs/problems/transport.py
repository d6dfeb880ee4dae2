"""An optimal-transport map between two point clouds: the gradient of an input convex network, its Hessian the Jacobian.

The argument is where the picture goes.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

import hessquik_rs as hq
from hessquik_rs import layers, networks

plt.switch_backend("svg")
plt.rcParams["svg.fonttype"] = "none"
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
rng = np.random.default_rng(0)


def banana(n):
    """The first cloud: a bent Gaussian, and the logarithm of its density at the points."""
    z = rng.normal(size=(n, 2))
    log_density = -(z**2).sum(1) / 2 - np.log(2 * np.pi) - np.log(0.6)
    return np.stack([z[:, 0], 0.6 * z[:, 1] + 0.7 * (z[:, 0] ** 2 - 1)], axis=1), log_density


# ANCHOR: train
def log_likelihood(gradient, hessian):
    """log of the density that a standard normal has when it is pulled back along the map `gradient`."""
    return torch.logdet(hessian) - (gradient**2).sum(1) / 2 - np.log(2 * np.pi)


potential = networks.NN(
    networks.ICNN(2, [None, 24, 24]),
    layers.quadraticICNNLayer(2, 24, 2),
)
with torch.no_grad():  # sharper bends to start with
    for name, weight in potential.named_parameters():
        if name.endswith("K"):
            weight *= 4
points = torch.tensor(banana(1000)[0])
optimizer = torch.optim.LBFGS(potential.parameters(), max_iter=250, history_size=30, line_search_fn="strong_wolfe")


def loss():
    optimizer.zero_grad()
    _, gradient, hessian = potential(points, do_gradient=True, do_Hessian=True)
    value = -log_likelihood(gradient[:, :, 0], hessian[:, :, :, 0]).mean()
    value.backward()
    return value


optimizer.step(loss)
# ANCHOR_END: train

# ANCHOR: evaluate
net = hq.Network([hq.icnn(2, [24, 24]), hq.quadratic_icnn(2, 24, 2)])
net.set_weights({name: weight.numpy() for name, weight in potential.state_dict().items()})

test, log_density = banana(2000)
jet = net.evaluate(test, "gradient,hessian")
image, jacobian = jet.gradient[:, :, 0], jet.hessian[:, :, :, 0]  # the map, and its Jacobian
_, log_determinant = np.linalg.slogdet(jacobian)
model = log_determinant - (image**2).sum(1) / 2 - np.log(2 * np.pi)
# ANCHOR_END: evaluate

smallest = np.linalg.eigvalsh(jacobian).min()
assert smallest > 0, "the potential of a transport map is convex"
print(f"mean log-density of the points {log_density.mean():.3f}, by the map {model.mean():.3f}")
variances = image.var(0)
print(f"images: mean at most ~{np.abs(image.mean(0)).max():.3f}, variances {variances[0]:.2f} and {variances[1]:.2f}")

# the discrete problem between the same points and as many of the other cloud, solved exactly
other = rng.normal(size=(len(test), 2))
cost = ((test[:, None] - other[None]) ** 2).sum(-1)
rows, columns = linear_sum_assignment(cost)
way = ((image - test) ** 2).sum(1).mean()
print(f"mean squared way by the map {way:.2f}, by the best assignment {cost[rows, columns].mean():.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
shown = slice(0, 250)
arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.002, "color": "0.6", "rasterized": True}
left.quiver(*test[shown].T, *(image - test)[shown].T, **arrows)
dots = left.scatter(*test[shown].T, c=log_determinant[shown], s=8, cmap="viridis", zorder=3, rasterized=True)
figure.colorbar(dots, ax=left, label="log det of the Hessian", shrink=0.8)
left.set_title("the points, and where they go")
right.scatter(*other[shown].T, s=6, color="0.75", label="second cloud", rasterized=True)
right.scatter(*image[shown].T, s=6, color="tab:blue", label="images of the first", rasterized=True)
right.set_title("images")
right.legend(loc="upper right", fontsize=8)
for ax in (left, right):
    ax.set_aspect("equal")
figure.tight_layout()
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "transport.svg", metadata={"Date": None}, dpi=130)
