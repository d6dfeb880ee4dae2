"""The mean curvature of an implicit surface: a sine network is fitted to a torus, its curvature comes from derivatives.

The argument is where the picture goes.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch

import hessquik_rs as hq
from hessquik_rs import activations, layers, networks

plt.switch_backend("svg")
plt.rcParams["svg.fonttype"] = "none"
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
rng = np.random.default_rng(0)
R, r = 1.0, 0.4  # of the circle, and of the tube around it


def torus(theta, phi, rho=r):
    """Points (n, 3) at distance `rho` from the circle, and the unit normals there."""
    normal = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)], axis=1)
    circle = np.stack([R * np.cos(phi), R * np.sin(phi), 0 * phi], axis=1)
    return circle + np.multiply(rho, normal.T).T, normal


# ANCHOR: train
theta, phi = rng.uniform(0, 2 * np.pi, (2, 1000))
offset = rng.uniform(-0.15, 0.15, 1000)
places, normals = torus(theta, phi, r + offset)
x, distance, normal = (torch.tensor(a) for a in (places, offset[:, None], normals))

field = networks.NN(
    layers.singleLayer(3, 32, activations.sinActivation()),
    layers.singleLayer(32, 32, activations.sinActivation()),
    layers.singleLayer(32, 1),
)
with torch.no_grad():
    field[0].K *= 4  # frequencies of the order of 1 / r
    field[1].K *= 2
options = {"max_iter": 1000, "history_size": 30, "tolerance_change": 1e-16, "line_search_fn": "strong_wolfe"}
optimizer = torch.optim.LBFGS(field.parameters(), **options)


def loss():
    optimizer.zero_grad()
    value, gradient, _ = field(x, do_gradient=True)
    error = ((value - distance) ** 2).mean() + ((gradient[:, :, 0] - normal) ** 2).mean()
    error.backward()
    return error


optimizer.step(loss)
# ANCHOR_END: train

net = hq.Network([hq.single(3, 32, "sin"), hq.single(32, 32, "sin"), hq.single(32, 1)])
net.set_weights({name: weight.numpy() for name, weight in field.state_dict().items()})


# ANCHOR: curvature
def onto_surface(x):
    """Newton's method along the gradient, to f(x) = 0."""
    for _ in range(5):
        value, gradient = net.evaluate(x, "value,gradient")
        x = x - value * gradient[:, :, 0] / (gradient**2).sum(1)
    return x


def mean_curvature(x):
    """div(n) / 2 with n = grad f / |grad f|, from the Laplacian and the Hessian along grad f."""
    jet = net.evaluate(x, "gradient,hessian,laplacian")
    g, hessian = jet.gradient[:, :, 0], jet.hessian[:, :, :, 0]
    size = np.linalg.norm(g, axis=1)
    along = np.einsum("sa,sab,sb->s", g, hessian, g)
    return (size**2 * jet.laplacian[:, 0] - along) / (2 * size**3)
    # ANCHOR_END: curvature


def exact(theta):
    return (R + 2 * r * np.cos(theta)) / (2 * r * (R + r * np.cos(theta)))


theta, phi = rng.uniform(0, 2 * np.pi, (2, 4000))
surface = onto_surface(torus(theta, phi)[0])
value, gradient = net.evaluate(surface, "value,gradient")
assert np.abs(value).max() < 1e-10
found, wanted = mean_curvature(surface), exact(theta)
away = np.hypot(np.hypot(*surface.T[:2]) - R, surface.T[2]) - r
print(f"distance of the surface to the torus, root mean square ~{np.sqrt((away**2).mean()):.1e}")
error = np.sqrt(((found - wanted) ** 2).mean())
print(f"mean curvature from {wanted.min():.2f} to {wanted.max():.2f}, root mean square error ~{error:.1e}")

# integrated over the torus, of which a point stands for (R + r cos theta) r d theta d phi
weight = R + r * np.cos(theta)
print(f"mean over the surface {np.average(found, weights=weight):.3f}, exactly {1 / (2 * r):.3f}")

figure = plt.figure(figsize=(8, 3.6))
left = figure.add_subplot(1, 2, 1, projection="3d")
t, p = np.meshgrid(np.linspace(0, 2 * np.pi, 33), np.linspace(0, 2 * np.pi, 49))
grid = onto_surface(torus(t.ravel(), p.ravel())[0])
colour = mean_curvature(grid).reshape(t.shape)
scale = plt.Normalize(exact(np.pi), exact(0.0))
faces = plt.cm.viridis(scale(colour))
mesh = grid.T.reshape(3, *t.shape)
left.plot_surface(*mesh, facecolors=faces, rstride=1, cstride=1, shade=False, rasterized=True)
left.set_aspect("equal")
left.set_axis_off()
figure.colorbar(plt.cm.ScalarMappable(scale, "viridis"), ax=left, label="mean curvature", shrink=0.7)
right = figure.add_subplot(1, 2, 2)
right.plot(theta[:400], found[:400], ".", ms=3, label="of the network's surface")
angles = np.linspace(0, 2 * np.pi, 200)
right.plot(angles, exact(angles), "k", lw=1, label="of the torus")
right.set_xlabel("angle around the tube")
right.set_ylabel("mean curvature")
right.legend(fontsize=8)
figure.tight_layout()
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "surface.svg", metadata={"Date": None}, dpi=120)
