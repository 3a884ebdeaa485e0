"""Filling without weights: a hole is made of pieces of the same picture."""
