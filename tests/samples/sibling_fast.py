"""Imported by conditional_import."""
from sibling_names import shared


def run(x):
    return x + shared
