"""Layers with hessQuik's names, and `formLayer`, for user-defined layers without derivatives by hand."""

from .. import _torch as _torch  # isort: skip  (says what to install if there is no torch)

from .._torch.form import Form as Form
from .form_layer import formLayer as formLayer
from .hessQuik_layer import hessQuikLayer as hessQuikLayer
from .icnn_layer import ICNNLayer as ICNNLayer
from .quadratic_icnn_layer import quadraticICNNLayer as quadraticICNNLayer
from .quadratic_layer import quadraticLayer as quadraticLayer
from .resnet_layer import resnetLayer as resnetLayer
from .single_layer import singleLayer as singleLayer
