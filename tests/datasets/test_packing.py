"""Packed sequences hold every token of every trace, and each of them can be found again."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

from cwm_trace import TraceTokens, parse_trace, render_trace  # noqa: E402
from cwm_trace.datasets.builder import build_dataset  # noqa: E402
from cwm_trace.datasets.dataset_recipe import make_recipe  # noqa: E402
from cwm_trace.datasets.packed import PackedDataset, PackedLoader  # noqa: E402
from cwm_trace.datasets.packing import pack_dataset  # noqa: E402
from cwm_trace.datasets.rows import trace_of  # noqa: E402
from cwm_trace.datasets.shards import read_rows  # noqa: E402
from cwm_trace.datasets.tokenizing import TokenField, tokenize_trace  # noqa: E402
from cwm_trace.errors import CwmTraceError  # noqa: E402
from cwm_trace.records import UNCHANGED, Event  # noqa: E402
from cwm_trace.wire.tokens import EVENT_TOKENS, Special  # noqa: E402

TOKENS = TraceTokens.of_bytes()
LENGTH = 4096


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packing") / "data"
    table = {
        "sources": [{"preset": "general-v1", "count": 60, "split": "train"}],
        "unit": 60,
        "parquet": False,
    }
    build_dataset(make_recipe(table), folder)
    return folder


@pytest.fixture(scope="module")
def packed(dataset: Path) -> PackedDataset:
    folder = dataset.parent / "packed"
    pack_dataset(dataset, folder, TOKENS, length=LENGTH)
    return PackedDataset(folder)


def rows(dataset: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(dataset, "train")]


def test_tokens_and_their_fields(dataset: Path) -> None:
    for row in rows(dataset):
        trace = trace_of(row)
        document = tokenize_trace(trace, TOKENS, given=0)
        assert list(document.ids) == render_trace(trace, tokens=TOKENS)
        for index, frame in enumerate(trace.frames):
            texts = dict.fromkeys(TokenField, "")
            state = ""
            for number, at, field in zip(document.ids, document.frames, document.fields, strict=True):
                if at == index and number < 256:
                    texts[TokenField(field)] += chr(number)
                    state += chr(number) if field in (TokenField.LOCALS, TokenField.CHANGED) else ""
                elif at == index and number == TOKENS.ids[EVENT_TOKENS[frame.event]]:
                    assert field == TokenField.EVENT
            assert texts[TokenField.SOURCE] == frame.source + "\n"
            if frame.event in (Event.CALL, Event.LINE):
                values = [value for value in json.loads(state).values() if value != UNCHANGED]
                assert texts[TokenField.CHANGED] == "".join(json.dumps(value)[1:] for value in values)
            elif frame.value is not None and frame.event is Event.RETURN:
                assert json.loads(texts[TokenField.VALUE]) == frame.value.text


def test_every_document_is_in_the_sequences_once(dataset: Path, packed: PackedDataset) -> None:
    documents = {}
    for sequence in packed:
        assert {name: array.shape for name, array in sequence.items()} == dict.fromkeys(sequence, (LENGTH,))
        for number in np.unique(sequence["documents"]):
            where = np.flatnonzero(sequence["documents"] == number)
            assert (np.diff(where) == 1).all()
            assert (sequence["positions"][where] == np.arange(len(where))).all()
            if number >= 0:
                assert number not in documents
                documents[int(number)] = sequence["input_ids"][where].tolist(), sequence["loss_mask"][where]
            else:
                assert not sequence["loss_mask"][where].any()
    wanted = [tokenize_trace(trace_of(row), TOKENS) for row in rows(dataset)]
    assert len(documents) == len(wanted)
    for number, document in enumerate(wanted):
        ids, mask = documents[number]
        assert tuple(ids) == document.ids[:LENGTH]
        assert mask.tolist() == [bool(each) for each in document.targets[:LENGTH]]


def test_every_position_maps_back(dataset: Path, packed: PackedDataset) -> None:
    by_id = {row["id"]: row for row in rows(dataset)}
    for index in range(len(packed)):
        sequence = packed[index]
        for position in range(0, LENGTH, 97):
            place = packed.locate(index, position)
            token = int(sequence["input_ids"][position])
            if place.document < 0:
                assert place.field is TokenField.PADDING
                continue
            row = by_id[place.id]
            assert place.program == row["program"]
            assert (place.frame <= 0) == (place.field is TokenField.GIVEN)
            if place.field is TokenField.EVENT and token != TOKENS.ids[Special.ACTION]:
                frames = row["frames"]
                end = place.frame == len(frames)
                event = Event.END if end else Event(frames[place.frame]["event"])
                assert token == TOKENS.ids[EVENT_TOKENS[event]]


def test_documents_read_back_as_traces(dataset: Path, packed: PackedDataset) -> None:
    traces = [trace_of(row) for row in rows(dataset)]
    for sequence in packed:
        for number in set(sequence["documents"].tolist()) - {-1}:
            ids = sequence["input_ids"][sequence["documents"] == number].tolist()
            if ids[-1] == TOKENS.ids[Special.END]:  # not cut
                parsed = parse_trace(ids, tokens=TOKENS)
                assert parsed.guess.problems == ()
                assert len(parsed.frames) == len(traces[number].frames)
                assert parsed.outcome is traces[number].outcome


def test_packing_is_the_same_every_time(dataset: Path, packed: PackedDataset, tmp_path: Path) -> None:
    pack_dataset(dataset, tmp_path / "again", TOKENS, length=LENGTH)
    for path in sorted(packed.folder.iterdir()):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_long_documents(dataset: Path, tmp_path: Path) -> None:
    lengths = [len(tokenize_trace(trace_of(row), TOKENS)) for row in rows(dataset)]
    long = sum(length > 2048 for length in lengths)
    assert 0 < long < len(lengths)
    cut = pack_dataset(dataset, tmp_path / "cut", TOKENS, length=2048)
    dropped = pack_dataset(dataset, tmp_path / "dropped", TOKENS, length=2048, long="drop")
    assert (cut.cut, cut.documents, dropped.dropped) == (long, len(lengths), long)
    assert dropped.documents == len(lengths) - long
    assert cut.tokens == sum(min(length, 2048) for length in lengths)


def test_the_order_is_resumed_exactly(packed: PackedDataset) -> None:
    def batches(loader: PackedLoader, count: int) -> list[list[int]]:
        return [batch["documents"][:, 0].tolist() for batch, _ in zip(loader, range(count), strict=False)]

    whole = batches(PackedLoader(packed, 2, seed=3), 40)
    first = PackedLoader(packed, 2, seed=3)
    begun = iter(first)
    head = [next(begun)["documents"][:, 0].tolist() for _ in range(17)]
    state = json.loads(json.dumps(first.state()))
    second = PackedLoader(packed, 2, seed=3)
    second.restore(state)
    assert head + batches(second, 23) == whole
    assert batches(PackedLoader(packed, 2, seed=4), 40) != whole
    with pytest.raises(CwmTraceError, match="seed"):
        PackedLoader(packed, 2, seed=4).restore(state)


def test_processes_share_an_epoch(packed: PackedDataset) -> None:
    steps = len(packed) // 4
    seen: list[int] = []
    for rank in range(2):
        loader = iter(PackedLoader(packed, 2, seed=1, rank=rank, world=2))
        for _ in range(steps):
            seen += next(loader)["documents"][:, 0].tolist()
    assert len(seen) == len(set(seen)) == steps * 4
    with pytest.raises(CwmTraceError, match="too few"):
        PackedLoader(packed, len(packed), world=2)


def test_torch_and_hugging_face_read_the_same(packed: PackedDataset, tmp_path: Path) -> None:
    data = pytest.importorskip("torch.utils.data")
    hub = pytest.importorskip("datasets")
    table = hub.load_dataset(
        "arrow",
        data_files=[str(packed.folder / name) for name in packed.info.files],
        split="train",
        cache_dir=str(tmp_path),
    )
    assert len(table) == len(packed)
    loader = data.DataLoader(packed, batch_size=4)
    position = 0
    for batch in loader:
        for row in range(len(batch["input_ids"])):
            assert batch["input_ids"][row].tolist() == table[position]["input_ids"]
            assert batch["loss_mask"][row].int().tolist() == table[position]["loss_mask"]
            position += 1
    assert position == len(packed)


def test_a_copy_for_another_process(packed: PackedDataset) -> None:
    copy = pickle.loads(pickle.dumps(packed))
    assert all((copy[0][name] == packed[0][name]).all() for name in packed[0])
    assert (packed[-1]["input_ids"] == packed[len(packed) - 1]["input_ids"]).all()
    with pytest.raises(IndexError):
        packed[len(packed)]


def test_bad_folders(dataset: Path, packed: PackedDataset, tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="no packed sequences"):
        PackedDataset(dataset)
    older = tmp_path / "older"
    older.mkdir()
    info = json.loads((packed.folder / "info.json").read_bytes())
    for version, sentence in (
        (1, "packed by an older cwm-trace: pack again"),
        (99, "newer cwm-trace: it has"),
    ):
        (older / "info.json").write_text(json.dumps({**info, "version": version}))
        with pytest.raises(CwmTraceError, match=sentence):
            PackedDataset(older)
    del info["version"]  # which the first form did not have
    (older / "info.json").write_text(json.dumps(info))
    with pytest.raises(CwmTraceError, match="packed by an older"):
        PackedDataset(older)
    with pytest.raises(CwmTraceError, match="not empty"):
        pack_dataset(dataset, packed.folder, TOKENS)
    with pytest.raises(CwmTraceError, match="no split 'dev'"):
        pack_dataset(dataset, tmp_path / "x", TOKENS, split="dev")
    with pytest.raises(CwmTraceError, match="at least 16"):
        pack_dataset(dataset, tmp_path / "x", TOKENS, length=3)
