"""Training: documents of traces, packed rows, one loop, exact resume.

A run is a recipe (`recipe.py`) and a folder. Documents come from the generators by number (`stream.py`), fill
rows (`document_rows.py`), and one loop (`loop.py`) takes a step on each batch. What it needs to go on after a
kill is one file (`state.py`).
"""
