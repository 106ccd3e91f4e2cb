"""Attention: the interval operation, and the implementations a model can be told to use."""
