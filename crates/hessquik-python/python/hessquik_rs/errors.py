"""Every error of the library by name; each is also the built-in exception that fits."""


class HessquikError(Exception):
    """Base of all errors of this package."""


class ShapeError(HessquikError, ValueError):
    """An array has another shape than the network or the request needs."""


class DtypeError(HessquikError, TypeError):
    """An array has elements of another type than the network, and cannot become one without rounding."""


class ArrayError(HessquikError, ValueError):
    """An array cannot be used as it is: entries are masked, memory was freed, or is used twice at once."""


class CompositionError(HessquikError, ValueError):
    """Layers do not fit together, or there are none."""


class SettingError(HessquikError, ValueError):
    """A setting has a value that makes no sense."""


class RequestError(HessquikError, ValueError):
    """The request names nothing, or something that is not known or not possible here."""


class IndexRangeError(HessquikError, ValueError):
    """An index of a block or a partial derivative is out of range."""


class LayerError(HessquikError, ValueError):
    """A layer describes itself inconsistently."""


class UnknownWeightError(HessquikError, ValueError):
    """No weight has this name."""


class ArchitectureError(HessquikError, ValueError):
    """A description of an architecture is not valid."""


class OperationError(HessquikError, NotImplementedError):
    """A user's network does something that cannot be taken; the message names the operation and the line."""


class ModelFileError(HessquikError, ValueError):
    """A file was read, but does not hold what it should."""


class FileAccessError(HessquikError, OSError):
    """A file cannot be read or written; `errno` and `filename` say why and which."""


class MissingFileError(FileAccessError, FileNotFoundError):
    """A file is not there."""


class OutOfMemoryError(HessquikError, MemoryError):
    """A result does not fit in memory."""


class InternalError(HessquikError, RuntimeError):
    """The engine failed, which is a bug."""


class SlowerWarning(UserWarning):
    """A network is evaluated in operations of PyTorch or JAX, not by the engine, for the reason given."""
