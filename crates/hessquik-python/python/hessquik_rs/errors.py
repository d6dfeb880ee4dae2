"""Every error of the library by name; each is also the matching built-in exception."""


class HessquikError(Exception):
    """Base of all errors of this package."""


class ShapeError(HessquikError, ValueError):
    """An array has a different shape from the one that the network or the request needs."""


class DtypeError(HessquikError, TypeError):
    """The element type of an array differs from the network's and cannot be converted without rounding."""


class ArrayError(HessquikError, ValueError):
    """An array cannot be used as it is: it has masked entries, its memory was freed, or it is used twice at once."""


class CompositionError(HessquikError, ValueError):
    """Layers do not fit together, or there are no layers."""


class SettingError(HessquikError, ValueError):
    """A setting has an invalid value."""


class RequestError(HessquikError, ValueError):
    """The request is empty, or names something that is unknown or not possible here."""


class IndexRangeError(HessquikError, ValueError):
    """An index of a block or a partial derivative is out of range."""


class LayerError(HessquikError, ValueError):
    """A layer describes itself inconsistently."""


class UnknownWeightError(HessquikError, ValueError):
    """No weight has this name."""


class ArchitectureError(HessquikError, ValueError):
    """A description of an architecture is not valid."""


class OperationError(HessquikError, NotImplementedError):
    """A user's network contains an unsupported operation; the message names the operation and the line."""


class ModelFileError(HessquikError, ValueError):
    """A file was read, but its content is not valid."""


class FileAccessError(HessquikError, OSError):
    """A file cannot be read or written; `errno` and `filename` give the reason and the file."""


class MissingFileError(FileAccessError, FileNotFoundError):
    """A file does not exist."""


class OutOfMemoryError(HessquikError, MemoryError):
    """A result does not fit in memory."""


class InternalError(HessquikError, RuntimeError):
    """The engine failed, which is a bug."""


class SlowerWarning(UserWarning):
    """A network is evaluated in PyTorch or JAX operations, not by the engine, for the reason given."""
