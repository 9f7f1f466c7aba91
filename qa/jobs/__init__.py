"""Millions of rows: answered shard by shard, whatever engine runs the shards."""
