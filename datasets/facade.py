"""What is public of datasets: their folder has no `__init__`, which would hide Hugging Face's `datasets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.datasets.builder import Manifest, build_dataset, read_manifest
    from cwm_trace.datasets.dataset_recipe import Recipe, make_recipe, read_recipe
    from cwm_trace.datasets.families import FAMILIES, PRESETS, make_item, make_items
    from cwm_trace.datasets.family import Axis, Draft, Family
    from cwm_trace.datasets.item import Item
    from cwm_trace.datasets.loaders import load_items
    from cwm_trace.datasets.packed import PackedDataset, PackedLoader
    from cwm_trace.datasets.packing import pack_dataset
    from cwm_trace.datasets.rows import trace_of
    from cwm_trace.datasets.shards import read_rows
    from cwm_trace.datasets.statistics import describe_dataset
    from cwm_trace.datasets.tokenizing import TokenizedTrace, tokenize_trace
    from cwm_trace.datasets.twins import make_twin

__all__ = [
    "FAMILIES",
    "PRESETS",
    "Axis",
    "Draft",
    "Family",
    "Item",
    "Manifest",
    "PackedDataset",
    "PackedLoader",
    "Recipe",
    "TokenizedTrace",
    "build_dataset",
    "describe_dataset",
    "load_items",
    "make_item",
    "make_items",
    "make_recipe",
    "make_twin",
    "pack_dataset",
    "read_manifest",
    "read_recipe",
    "read_rows",
    "tokenize_trace",
    "trace_of",
]

__getattr__ = lazy_names(
    "cwm_trace.datasets",
    {
        "builder": "Manifest build_dataset read_manifest",
        "dataset_recipe": "Recipe make_recipe read_recipe",
        "families": "FAMILIES PRESETS make_item make_items",
        "family": "Axis Draft Family",
        "item": "Item",
        "loaders": "load_items",
        "packed": "PackedDataset PackedLoader",
        "packing": "pack_dataset",
        "rows": "trace_of",
        "shards": "read_rows",
        "statistics": "describe_dataset",
        "tokenizing": "TokenizedTrace tokenize_trace",
        "twins": "make_twin",
    },
)
