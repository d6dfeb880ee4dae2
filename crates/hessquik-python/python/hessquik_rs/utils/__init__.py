"""Checks, training, timing and data with hessQuik's names."""

from .. import _torch as _torch  # isort: skip  (says what to install if there is no torch)

from .data import peaks as peaks
from .directional_derivative_check import directional_derivative_check as directional_derivative_check
from .directional_derivative_check import (
    directional_derivative_laplacian_check as directional_derivative_laplacian_check,
)
from .input_derivative_check import input_derivative_check as input_derivative_check
from .input_derivative_check import (
    input_derivative_check_finite_difference as input_derivative_check_finite_difference,
)
from .input_derivative_check_laplacian import (
    input_derivative_check_finite_difference_laplacian as input_derivative_check_finite_difference_laplacian,
)
from .network_derivative_check import network_derivative_check as network_derivative_check
from .timing import timing_test as timing_test
from .training import print_headers as print_headers
from .training import test as test
from .training import train_one_epoch as train_one_epoch
from .utils import convert_to_base as convert_to_base
from .utils import extract_data as extract_data
from .utils import insert_data as insert_data
from .utils import module_getattr as module_getattr
from .utils import module_setattr as module_setattr
