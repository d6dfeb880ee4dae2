"""Activations with hessQuik's names, and four more: sine, SiLU, GELU and Gaussian."""

from .. import _torch as _torch  # isort: skip  (says what to install if there is no torch)

from .hessQuik_activation_function import hessQuikActivationFunction as hessQuikActivationFunction  # isort: skip
from .antiTanh_activation import antiTanhActivation as antiTanhActivation
from .convert import ActivationLike as ActivationLike
from .convert import activation as activation
from .gaussian_activation import gaussianActivation as gaussianActivation
from .gelu_activation import geluActivation as geluActivation
from .identity_activation import identityActivation as identityActivation
from .known_activation import knownActivation as knownActivation
from .quadratic_activation import quadraticActivation as quadraticActivation
from .sigmoid_activation import sigmoidActivation as sigmoidActivation
from .silu_activation import siluActivation as siluActivation
from .sin_activation import sinActivation as sinActivation
from .softplus_activation import softplusActivation as softplusActivation
from .tanh_activation import tanhActivation as tanhActivation
