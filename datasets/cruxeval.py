"""CRUXEval (Gu et al. 2024, arXiv 2401.03065): 800 short functions `f`, each with an input and its output.

The data is not part of this package: give the path of its JSON Lines file (`id`, `code`, `input`, `output`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import jsonlines
import pydantic

from cwm_trace.errors import CwmTraceError


class CruxEvalItem(pydantic.BaseModel):
    """One program.

    Attributes:
        id: such as `sample_0`.
        code: source text that defines `f`.
        input: the arguments as source text.
        output: `repr` of the result.
    """

    id: str
    code: str
    input: str
    output: str

    @property
    def call(self) -> str:
        """The call whose value is asked for."""
        return f"f({self.input})"


def load_cruxeval(path: str | os.PathLike[str]) -> Iterator[CruxEvalItem]:
    """The programs of a CRUXEval file, in its order.

    Raises:
        CwmTraceError: the file cannot be read, or a line of it is not a program.
    """
    try:
        with jsonlines.open(path) as reader:
            for number, row in enumerate(reader, start=1):
                yield _item(row, number, path)
    except OSError as error:
        raise CwmTraceError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
    except (jsonlines.InvalidLineError, UnicodeDecodeError) as error:
        raise CwmTraceError(f"{os.fspath(path)} is not a JSON Lines file: {error}") from error


def _item(row: Any, number: int, path: str | os.PathLike[str]) -> CruxEvalItem:
    try:
        return CruxEvalItem.model_validate(row)
    except pydantic.ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its form"
        raise CwmTraceError(f"{os.fspath(path)}, line {number}: not a CRUXEval program ({where})") from error
