"""Names that are not known, beside the known one that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

# as the errors of the engine have it: what was found in quotes, then what is known, with or without quotes
_UNKNOWN = re.compile(
    r"(?:unknown|unexpected|no weight is named)[^\"`]*[\"`](?P<found>[^\"`]*)[\"`].*?"
    r"(?:known are|options are|expected one of|the network has) (?P<known>.*)",
    re.DOTALL,
)


# what others call it
_ELSEWHERE = {
    "reverse": "backward",
    "rev": "backward",
    "fwd": "forward",
    "jacobian": "gradient",
    "grad": "gradient",
    "hess": "hessian",
    "trace": "laplacian",
    "lap": "laplacian",
    "hvp": "products",
    "lncosh": "anti_tanh",
    "logcosh": "anti_tanh",
    "swish": "silu",
    "linear": "identity",
    "none": "identity",
    "square": "quadratic",
    "sine": "sin",
}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """What to append to an error: the nearest known name, if any is near.

    >>> did_you_mean("hesian", ("value", "gradient", "hessian"))
    '; did you mean "hessian"?'
    >>> did_you_mean("price", ("value", "gradient", "hessian"))
    ''
    """
    plain = {_plain(name): name for name in known}
    near = [_ELSEWHERE.get(_plain(found), ""), *get_close_matches(_plain(found), plain, n=1)]
    meant = next((plain[_plain(name)] for name in near if _plain(name) in plain), None)
    return "" if meant is None else f'; did you mean "{meant}"?'


def with_hint(message: str) -> str:
    """The message of an error, with the name that was probably meant if it lists known ones.

    >>> with_hint('unknown mode "reverse"; known are auto, forward, backward, sites')
    'unknown mode "reverse"; known are auto, forward, backward, sites; did you mean "backward"?'
    """
    match = _UNKNOWN.search(message)
    if match is None or "did you mean" in message:
        return message
    known = re.findall(r"[\w.]+", re.sub(r" at line \d+ column \d+$", "", match["known"]))
    return message + did_you_mean(match["found"], known)
