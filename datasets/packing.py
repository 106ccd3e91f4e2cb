"""Packs tokenized traces into sequences of one length, several documents in each.

Sequences are Arrow files, which are memory-mapped; `cwm_trace.datasets.packed.PackedDataset` and Hugging
Face's `datasets.load_dataset("arrow", data_files=…)` read the same ones.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cwm_trace.datasets.filling import Arrays, Filler, lay_out, side_by_side
from cwm_trace.datasets.rows import trace_of
from cwm_trace.datasets.shards import read_rows
from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace, targets_of, tokenize_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import make_folder, write_whole
from cwm_trace.progress import OnProgress, say_nothing, tell_of_each
from cwm_trace.versions import PACKED_VERSION
from cwm_trace.wire.profile import get_profile
from cwm_trace.wire.tokens import TraceTokens

FIELDS = tuple(field.name.lower() for field in TokenField)
"""What the numbers in the column `fields` mean."""
_BATCH = 64
"""Sequences of one record batch, which is what one random access touches."""
_FILE = 4096
"""Sequences of one file."""


@dataclass
class PackedInfo:
    """What a packed folder holds.

    Args:
        length: tokens of a sequence.
        sequences: how many there are.
        documents: how many are in them.
        tokens: without padding.
        targets: tokens that are to be predicted.
        cut: documents longer than a sequence, of which the rest is missing.
        dropped: documents longer than a sequence that are missing.
        pad: id of the padding.
        split: of the dataset.
        profile: name of the format profile.
        tokenizer: what the user called it.
        files: of the sequences.
        specials: ids of the special tokens.
        fields: names of the fields, by number.
        version: of the form of the folder.
    """

    length: int
    split: str
    tokenizer: str
    pad: int
    profile: str = "cwm"
    sequences: int = 0
    documents: int = 0
    tokens: int = 0
    targets: int = 0
    cut: int = 0
    dropped: int = 0
    files: tuple[str, ...] = ()
    specials: dict[str, int] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    version: int = PACKED_VERSION


def pack_dataset(
    dataset: str | Path,
    folder: str | Path,
    tokens: TraceTokens,
    *,
    length: int = 2048,
    split: str = "train",
    long: Literal["cut", "drop"] = "cut",
    profile: str = "cwm",
    pad: int = 0,
    tokenizer: str = "",
    report: OnProgress = say_nothing,
) -> PackedInfo:
    """Tokenize and pack a split of a dataset; the same input gives the same bytes.

    Args:
        dataset: a folder that `build_dataset` made.
        folder: where the sequences go.
        tokens: the tokenizer's mapping.
        length: tokens of a sequence.
        split: of the dataset.
        long: what becomes of a document that is longer: its first `length` tokens are kept, or nothing of it.
        profile: name of the format profile.
        pad: id that fills what is left; it is never a target.
        tokenizer: what to call the tokenizer in the folder's description.
        report: is told of every document.

    Raises:
        CwmTraceError: no such dataset or split, `length` is too short, or the folder is taken or cannot be
            written.
    """
    folder = Path(folder)
    if length < 16:
        raise CwmTraceError(f"length is {length}: a sequence needs at least 16 tokens")
    if folder.exists() and any(folder.iterdir()):
        raise CwmTraceError(f"{folder} is not empty: name another folder")
    specials = {token.value: number for token, number in tokens.ids.items()}
    info = PackedInfo(length, split, tokenizer, pad, profile, specials=specials, fields=FIELDS)
    make_folder(folder)
    writer = _Writer(folder, info)
    documents: list[dict[str, Any]] = []
    made = _tokenized(dataset, info, tokens, drops=long == "drop", documents=documents, report=report)
    filler: Filler[_Document] = Filler(lambda _: list(islice(made, 1)))
    while row := filler.row(length):
        writer.add(row)
    writer.flush()
    info.documents = len(documents)
    write_whole(folder / "documents.jsonl", b"".join(json.dumps(each).encode() + b"\n" for each in documents))
    write_whole(folder / "info.json", json.dumps(asdict(info), indent=1) + "\n")
    return info


@dataclass(frozen=True)
class _Document:
    number: int
    tokens: TokenizedTrace

    def __len__(self) -> int:
        return len(self.tokens)


def _tokenized(
    dataset: str | Path,
    info: PackedInfo,
    tokens: TraceTokens,
    *,
    drops: bool,
    documents: list[dict[str, Any]],
    report: OnProgress,
) -> Iterator[_Document]:
    """The documents of a split; what there is to know of each is added to `documents`."""
    profile = get_profile(info.profile)
    for name, row in tell_of_each(read_rows(dataset, info.split), "packing", report):
        document = tokenize_trace(trace_of(row), tokens, profile=profile)
        if len(document) > info.length:
            if drops:
                info.dropped += 1
                continue
            info.cut += 1
        documents.append(
            {"id": row["id"], "program": row["program"], "split": name, "frames": len(row["frames"])}
        )
        yield _Document(len(documents) - 1, document)


class _Writer:
    """Writes rows into files, so many in each."""

    def __init__(self, folder: Path, info: PackedInfo) -> None:
        self._folder = folder
        self._info = info
        self._rows: list[Arrays] = []

    def add(self, documents: Sequence[_Document]) -> None:
        length, traces = self._info.length, [document.tokens for document in documents]
        numbers = [[document.number] * len(document) for document in documents]
        row = lay_out(traces, length, self._info.pad)
        row["loss_mask"] = np.frombuffer(targets_of(row["fields"].tobytes()), np.uint8)
        row["documents"] = side_by_side(numbers, length, -1, np.int32)
        row["frames"] = side_by_side([trace.frames for trace in traces], length, -1, np.int32)
        self._info.tokens += int((row["documents"] >= 0).sum())
        self._info.targets += int(row["loss_mask"].sum())
        self._rows.append(row)
        if len(self._rows) == _FILE:
            self.flush()

    def flush(self) -> None:
        """Write the rows that have no file yet."""
        if self._rows:
            name = f"sequences-{len(self._info.files):05d}.arrow"
            write_whole(self._folder / name, _to_arrow(self._rows, self._info.length))
            self._info.files = (*self._info.files, name)
            self._info.sequences += len(self._rows)
            self._rows = []


COLUMNS = {
    "input_ids": "uint32",
    "loss_mask": "uint8",
    "documents": "int32",
    "positions": "int32",
    "fields": "uint8",
    "frames": "int32",
}
"""Of the files, and their types."""


def _to_arrow(rows: Sequence[Arrays], length: int) -> bytes:
    try:
        import pyarrow as pa
    except ImportError:
        raise CwmTraceError("packing needs the pyarrow package: pip install 'cwm-trace[data]'") from None
    schema = pa.schema(
        [(name, pa.list_(pa.from_numpy_dtype(np.dtype(kind)), length)) for name, kind in COLUMNS.items()]
    )
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, schema) as writer:
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            arrays = [
                pa.FixedSizeListArray.from_arrays(
                    pa.array(np.concatenate([row[name] for row in batch]).astype(kind)), length
                )
                for name, kind in COLUMNS.items()
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue()
