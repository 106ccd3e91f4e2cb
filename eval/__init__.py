"""Predicted execution against real execution."""
