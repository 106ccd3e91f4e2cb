"""Packs tokenized traces into sequences of one length, several documents in each.

Sequences are Arrow files, which are memory-mapped; `cwm_trace.datasets.packed.PackedDataset` and Hugging
Face's `datasets.load_dataset("arrow", data_files=…)` read the same ones.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cwm_trace.datasets.files import write_whole
from cwm_trace.datasets.rows import trace_of
from cwm_trace.datasets.shards import read_rows
from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace, targets_of, tokenize_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.wire.profile import get_profile
from cwm_trace.wire.tokens import TraceTokens

FIELDS = tuple(field.name.lower() for field in TokenField)
"""What the numbers in the column `fields` mean."""
_OPEN = 64
"""Sequences that are filled at a time; a document goes where it leaves the least room."""
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
    writer = _Writer(folder, info)
    documents: list[dict[str, Any]] = []
    reading = get_profile(profile)
    for name, row in read_rows(dataset, split):
        document = tokenize_trace(trace_of(row), tokens, profile=reading)
        if len(document) > length:
            if long == "drop":
                info.dropped += 1
                continue
            info.cut += 1
        documents.append(
            {"id": row["id"], "program": row["program"], "split": name, "frames": len(row["frames"])}
        )
        writer.add(len(documents) - 1, document)
    writer.finish()
    info.documents = len(documents)
    write_whole(folder / "documents.jsonl", b"".join(json.dumps(each).encode() + b"\n" for each in documents))
    write_whole(folder / "info.json", (json.dumps(asdict(info), indent=1) + "\n").encode())
    return info


class _Bin:
    """A sequence that is being filled."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.fields = bytearray()
        self.frames: list[int] = []
        self.documents: list[int] = []

    def add(self, number: int, document: TokenizedTrace, length: int) -> None:
        self.ids += document.ids[:length]
        self.fields += document.fields[:length]
        self.frames += document.frames[:length]
        self.documents += [number] * min(len(document), length)

    def fill(self, length: int, pad: int) -> None:
        room = length - len(self.ids)
        self.ids += [pad] * room
        self.fields += bytes([TokenField.PADDING]) * room
        self.frames += [-1] * room
        self.documents += [-1] * room


class _Writer:
    def __init__(self, folder: Path, info: PackedInfo) -> None:
        self._folder = folder
        self._info = info
        self._open: list[_Bin] = []
        self._full: list[_Bin] = []

    def add(self, number: int, document: TokenizedTrace) -> None:
        length = self._info.length
        size = min(len(document), length)
        fitting = [each for each in self._open if len(each.ids) + size <= length]
        if fitting:
            best = max(fitting, key=lambda each: len(each.ids))
        else:
            best = _Bin()
            self._open.append(best)
        best.add(number, document, length)
        self._info.tokens += size
        self._info.targets += sum(document.targets[:length])
        if len(best.ids) == length:
            self._close(best)
        elif len(self._open) > _OPEN:
            self._close(max(self._open, key=lambda each: len(each.ids)))

    def finish(self) -> None:
        for each in list(self._open):
            self._close(each)
        self._flush()

    def _close(self, each: _Bin) -> None:
        self._open.remove(each)
        each.fill(self._info.length, self._info.pad)
        self._full.append(each)
        if len(self._full) == _FILE:
            self._flush()

    def _flush(self) -> None:
        if self._full:
            name = f"sequences-{len(self._info.files):05d}.arrow"
            write_whole(self._folder / name, _to_arrow(self._full, self._info.length))
            self._info.files = (*self._info.files, name)
            self._info.sequences += len(self._full)
            self._full = []


def _to_arrow(sequences: list[_Bin], length: int) -> bytes:
    try:
        import numpy as np
        import pyarrow as pa
    except ImportError:
        raise CwmTraceError("packing needs the pyarrow package: pip install 'cwm-trace[data]'") from None
    columns = {
        "input_ids": "uint32",
        "loss_mask": "uint8",
        "documents": "int32",
        "fields": "uint8",
        "frames": "int32",
    }
    schema = pa.schema(
        [(name, pa.list_(pa.from_numpy_dtype(np.dtype(kind)), length)) for name, kind in columns.items()]
    )
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, schema) as writer:
        for batch in _batches(sequences):
            data: dict[str, list[Any]] = {
                "input_ids": [each.ids for each in batch],
                "loss_mask": [np.frombuffer(targets_of(bytes(each.fields)), np.uint8) for each in batch],
                "documents": [each.documents for each in batch],
                "fields": [np.frombuffer(each.fields, np.uint8) for each in batch],
                "frames": [each.frames for each in batch],
            }
            arrays = [
                pa.FixedSizeListArray.from_arrays(
                    pa.array(np.concatenate([np.asarray(each, kind) for each in data[name]])), length
                )
                for name, kind in columns.items()
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue()


def _batches(sequences: list[_Bin]) -> Iterator[Iterable[_Bin]]:
    for start in range(0, len(sequences), _BATCH):
        yield sequences[start : start + _BATCH]
