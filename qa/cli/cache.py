"""`qa cache`: the examples and features that runs have made ready and kept."""

import time

from qa.cli.data_flags import Cache
from qa.cli.display import print_json, print_line, print_table
from qa.data.store import Entry, cache_root, entries, prune
from qa.errors import UsageError

_MEBIBYTE = 1 << 20


def run(arguments: Cache) -> None:
    """List the cache, after deleting what is old where that was asked for."""
    if arguments.prune_days is not None and not arguments.prune_days >= 0:
        raise UsageError(f"--prune-days is {arguments.prune_days:g}; wanted 0 or more")
    root = cache_root(arguments.cache_dir)
    deleted = prune(root, days=arguments.prune_days) if arguments.prune_days is not None else []
    kept = entries(root)
    if arguments.json:
        print_json(
            {
                "folder": str(root),
                "entries": [_described(entry) for entry in kept],
                "bytes": sum(entry.size for entry in kept),
                "deleted": [_described(entry) for entry in deleted],
            }
        )
        return
    if kept:
        print_table(("entry", "MiB", "days since its use"), [_row(entry) for entry in kept])
    print_line(f"{root}: {len(kept)} entries, {_mebibytes(kept)} MiB")
    if deleted:
        print_line(f"deleted {len(deleted)} entries, {_mebibytes(deleted)} MiB")


def _described(entry: Entry) -> dict[str, object]:
    return {"entry": entry.folder.name, "bytes": entry.size, "used": entry.used}


def _row(entry: Entry) -> tuple[object, ...]:
    return entry.folder.name, _mebibytes([entry]), round((time.time() - entry.used) / 86_400, 1)


def _mebibytes(found: list[Entry]) -> float:
    return round(sum(entry.size for entry in found) / _MEBIBYTE, 1)
