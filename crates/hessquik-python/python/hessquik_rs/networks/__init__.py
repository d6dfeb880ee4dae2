"""Networks with hessQuik's names."""

from .. import _torch as _torch  # isort: skip  (says what to install if there is no torch)

from .hessQuik_network import NN as NN  # isort: skip
from .from_architecture import from_architecture as from_architecture
from .from_hessquik import from_hessquik as from_hessquik
from .fully_connected_network import fullyConnectedNN as fullyConnectedNN
from .hessQuik_network import NNPytorchAD as NNPytorchAD
from .hessQuik_network import NNPytorchHessian as NNPytorchHessian
from .icnn_network import ICNN as ICNN
from .resnet_network import resnetNN as resnetNN
