"""Hypothesis profiles for every test."""

from __future__ import annotations

from tests.effort import register_profiles

register_profiles()
