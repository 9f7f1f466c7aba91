"""Readers where other packages look for one: a file for each package."""
