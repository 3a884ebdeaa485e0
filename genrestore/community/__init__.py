"""Checkpoints of others: read without running anything of theirs, measured, and kept as weights like our own."""
