"""Answers outside of a run."""
