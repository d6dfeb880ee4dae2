"""The primitives of JAX as formulas: one row for each primitive that a function of a user's may be made of.

A rule takes the operands of the primitive as variables, and its parameters by name, and gives a variable or several.
Shapes are those of one point.
"""

from hessquik_rs._jax.rules import entries as entries
from hessquik_rs._jax.rules import matrices as matrices
from hessquik_rs._jax.rules import order as order
from hessquik_rs._jax.rules import products as products
from hessquik_rs._jax.rules import shapes as shapes
from hessquik_rs._jax.rules import sums as sums
from hessquik_rs._jax.rules.table import RULES as RULES
from hessquik_rs._jax.rules.table import Refused as Refused
