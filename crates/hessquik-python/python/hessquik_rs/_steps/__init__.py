"""The executor of schedules on arrays of other libraries, PyTorch's and JAX's.

It is for devices that the engine does not know, half precision, transforms, and derivatives of derivatives.

A schedule is the engine's: the same list of steps that it runs itself. Its steps are here operations of such a library,
which differentiates them again.
"""
