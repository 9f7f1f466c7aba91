"""Models that W&B keeps: `wandb:ENTITY/PROJECT/NAME:ALIAS` -> a folder."""

import os
import re
from pathlib import Path

from qa.errors import ModelError, StorageError
from qa.files import whole_folder

PREFIX = "wandb:"
"""What names of such models begin with."""
_NAME = re.compile(r"(?:[^/:\s]+/){0,2}[^/:\s]+(?::[^/:\s]+)?")
_ALIAS = "latest"


def is_artifact(source: str) -> bool:
    """Return whether a name is that of a model at W&B."""
    return source.startswith(PREFIX)


def fetch_artifact(source: str) -> Path:
    """Return the folder of a model at W&B, downloaded unless this content is there already.

    Args:
        source: `wandb:` and the artifact's name; without an alias or version, its latest one.

    Raises:
        ModelError: no such name, or W&B does not give it, for want of a key or a network say.

    """
    name = source.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        raise ModelError(f"model {source!r}; wanted {PREFIX}ENTITY/PROJECT/NAME:ALIAS")
    import wandb  # noqa: PLC0415  # a second, for those who name such a model

    try:
        artifact = wandb.Api().artifact(name if ":" in name else f"{name}:{_ALIAS}")
        folder = _cache() / str(artifact.digest)
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with whole_folder(folder) as part:
                artifact.download(root=str(part))
    except StorageError:
        raise
    except Exception as error:  # whatever the client raises
        raise ModelError(f"W&B does not give model {source!r}: {error}") from error
    return folder


def _cache() -> Path:
    own = os.environ.get("WANDB_CACHE_DIR")
    return (Path(own).expanduser() if own else Path.home() / ".cache" / "wandb") / "models"
