"""The operations of PyTorch as formulas: one row for each operation that a network of a user's may be made of.

A rule takes the arguments of the operation, with variables in the place of tensors, and gives a variable or several.
Shapes are those of one point, whose leading axis has length 1.
"""

from . import entries as entries
from . import matrices as matrices
from . import order as order
from . import products as products
from . import shapes as shapes
from . import sums as sums
from . import windows as windows
from .table import RULES as RULES
from .table import Refused as Refused
