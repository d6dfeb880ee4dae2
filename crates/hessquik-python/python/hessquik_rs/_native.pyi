"""The engine; see `hessquik_rs.Network` for the meaning of its methods."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, final

from numpy.typing import ArrayLike

from hessquik_rs.jet import Array
from hessquik_rs.request import Block, Mode, Names, Pairs, Terms

def num_threads() -> int:
    """The number of threads that evaluations use."""

def set_num_threads(count: int) -> None:
    """Sets the number of threads that evaluations use."""

def fail(small: bool) -> None:
    """Fails as a bug of the engine would, for the test that this arrives as an exception."""

def xla_handlers() -> list[int]:
    """The addresses of the functions that evaluate and pull back, for `jax.ffi.pycapsule`."""

def xla_forget(texts: Sequence[str]) -> None:
    """Frees the networks that are kept for these specs."""

def network_of_state_dict(entries: Sequence[tuple[str, Array]], layers: str, same: bool, dtype: str | None) -> Network:
    """The network of linear layers with these weights; `layers` has the activations."""

def load_state_dict(path: str | PathLike[str], layers: str, same: bool, dtype: str | None) -> Network:
    """The network of linear layers whose weights are in a file."""

@final
class Network:
    def __new__(cls, architecture: str, dtype: str = "float64", seed: int | None = None) -> Network: ...
    @staticmethod
    def load(path: str | PathLike[str], dtype: str | None = None) -> Network: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    def save_onnx(self, path: str | PathLike[str], request: str) -> None: ...
    def cast(self, dtype: str) -> Network: ...
    def copy(self) -> Network: ...
    def along(self, directions: int) -> Network: ...
    @property
    def architecture(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def dim_input(self) -> int: ...
    @property
    def dim_output(self) -> int: ...
    @property
    def n_weights(self) -> int: ...
    def weight_names(self) -> list[str]: ...
    def weight(self, name: str) -> Array: ...
    def set_some(self, weights: dict[str, ArrayLike]) -> None: ...
    def flat_weights(self) -> Array: ...
    def set_flat_weights(self, array: ArrayLike) -> None: ...
    def set_weights(self, arrays: Sequence[ArrayLike]) -> None: ...
    def with_weights(self, arrays: Sequence[ArrayLike]) -> Network: ...
    def by_name(self, flat: ArrayLike) -> dict[str, Array]: ...
    def evaluate(
        self,
        x: ArrayLike,
        request: Names | None = None,
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
        out: dict[str, Any] | None = None,
    ) -> dict[str, Any]: ...
    def pullback(
        self,
        x: ArrayLike,
        request: Names | None,
        cotangents: dict[str, Any],
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
    ) -> tuple[Array, Array]: ...
    def pushforward(
        self,
        x: ArrayLike,
        request: Names | None,
        input: ArrayLike | None,
        weights: ArrayLike | None,
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
    ) -> dict[str, Any]: ...
    def pullback_pushforward(
        self,
        x: ArrayLike,
        request: Names | None,
        cotangents: dict[str, Any],
        input: ArrayLike | None,
        weights: ArrayLike | None,
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
    ) -> tuple[Array, Array]: ...
    def schedule(
        self,
        request: Names | None = None,
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
    ) -> dict[str, Any]: ...
    def explain(
        self,
        points: int,
        request: Names | None = None,
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
    ) -> tuple[str, str]: ...
    def chunk(
        self,
        request: Names | None = None,
        *,
        directions: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        mode: Mode | None = None,
        operator: ArrayLike | Terms | None = None,
        products: ArrayLike | None = None,
        block: Block | None = None,
        partials: Pairs | None = None,
        directional: int | None = None,
    ) -> int: ...
    def estimate(
        self,
        x: ArrayLike,
        request: Sequence[str] | None,
        draw: tuple[int, int, str, bool, int],
        *,
        operator: ArrayLike | Terms | None = None,
        outputs: ArrayLike | None = None,
    ) -> tuple[Array, Array]: ...
    def check(self, x: ArrayLike, seed: int, order: int) -> list[tuple[str, bool, str, str]]: ...

@final
class TorchNetwork:
    """A network on the memory of tensors: addresses, sizes and strides. Its only caller is `_torch/engine.py`."""

    def __new__(cls, architecture: str, double: bool) -> TorchNetwork: ...
    def dims(self) -> tuple[int, int]: ...
    def weight_shapes(self) -> list[tuple[str, list[int]]]: ...
    def plan(self, results: int, k: int, q: int, mode: str) -> tuple[int, list[int]]: ...
    def explain(self, points: int, results: int, mode: str) -> str: ...
    def evaluate(
        self,
        weights: Sequence[int],
        x: tuple[int, ...],
        call: tuple[int, str, tuple[int, int, int, bool] | None],
        out: tuple[int, int, int],
    ) -> None: ...
    def pullback(
        self,
        weights: Sequence[int],
        x: tuple[int, ...],
        call: tuple[int, str, tuple[int, int, int, bool] | None],
        cotangents: Sequence[tuple[int, Sequence[int]] | None],
        out: tuple[int, Sequence[int]],
    ) -> None: ...

@final
class Watch:
    """Whether dictionaries still hold the very objects that they held."""

    def __new__(
        cls, values: Sequence[dict[str, Any]], presence: Sequence[dict[str, Any]], ignored: tuple[str, ...]
    ) -> Watch: ...
    def unchanged(self) -> bool: ...
