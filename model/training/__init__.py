"""Training: documents of traces, packed rows, one loop, exact resume.

A run is a recipe (`recipe.py`) and a folder. Documents (`documents.py`) come from the generators by number
(`stream.py`), fill rows (`packing.py`), and one loop (`loop.py`) takes a step on each batch. What it needs to
go on after a kill is one file (`state.py`).
"""
