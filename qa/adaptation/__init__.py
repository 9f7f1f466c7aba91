"""Unlabelled texts -> examples to adapt a reader to them before it sees labels."""
