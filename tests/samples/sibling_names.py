"""Imported by star_import and conditional_import."""
__all__ = ["shared", "double"]
shared = 20
_hidden = 1


def double(x):
    return 2 * x
