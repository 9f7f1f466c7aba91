"""`qa …`: one file per command."""
