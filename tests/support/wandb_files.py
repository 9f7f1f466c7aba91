"""What W&B's client wrote to disk offline, read back: its log of records, and the media beside it."""

import json
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from wandb.proto import wandb_internal_pb2


@dataclass(frozen=True)
class OfflineRun:
    """One run as the client wrote it."""

    folder: Path
    records: list

    @property
    def record(self):
        return next(one.run for one in self.records if one.WhichOneof("record_type") == "run")

    @property
    def config(self):
        found = items(self.record.config.update)
        for one in self.of("config"):
            found |= items(one.update)
        return found

    @property
    def history(self):
        return [items(one.item) for one in self.of("history")]

    @property
    def artifacts(self):
        return self.of("artifact")

    def of(self, kind):
        return [getattr(one, kind) for one in self.records if one.WhichOneof("record_type") == kind]

    def tables(self):
        """Tables by name."""
        paths = (self.folder / "files" / "media" / "table").glob("*.table.json")
        return {path.name.split("_")[0]: json.loads(path.read_text()) for path in paths}


def offline_runs(folder):
    """Read all offline runs below `folder/wandb`, once W&B's process has written their last records."""
    paths = sorted(Path(folder).glob("wandb/offline-run-*/*.wandb"))
    return [OfflineRun(path.parent, records_of(path)) for path in paths]


def records_of(path):
    for _ in range(100):
        records = list(parsed_records(path.read_bytes()))
        if records and records[-1].WhichOneof("record_type") == "exit":
            return records
        time.sleep(0.1)
    raise AssertionError(f"{path} does not end")


def parsed_records(content):
    """Parse a LevelDB log of protobuf messages; its blocks have 32 KiB."""
    assert content[:4] in {b":W&B", b""}
    at, message = 7, b""
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        message += content[at + 7 : at + 7 + size]
        at += 7 + size
        if at > len(content):
            return  # still being written
        if kind in {1, 4}:  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            yield record


def items(message):
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in message}
