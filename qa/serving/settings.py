"""How a service is set up, by flags or by the environment."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from qa.config import Backend
from qa.errors import ConfigError
from qa.serving.connections import ConnectionLimits
from qa.serving.schema import Limits

_PREFIX = "QA_"
_LOG = logging.getLogger("qa.serving")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What a service is; each can be said by the environment: `model` is QA_MODEL, and so on."""

    model: str
    revision: str | None = None
    device: str | None = None
    dtype: str | None = None
    backend: Backend = "torch"
    host: str = "127.0.0.1"
    port: int = 8000
    root_path: str = ""
    cors_origins: tuple[str, ...] = ()
    access_log: bool = True
    max_waiting: int = Limits.waiting
    max_body_bytes: int = Limits.body_bytes
    timeout: float = Limits.seconds
    header_timeout: float = ConnectionLimits.header_seconds
    keep_alive: float = ConnectionLimits.idle_seconds
    max_connections: int = ConnectionLimits.connections

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: a number or path that no service can have.

        """
        for name, least in (("port", 0), ("max_waiting", 1), ("max_body_bytes", 1), ("max_connections", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; wanted at least {least}")
        for name in ("timeout", "header_timeout", "keep_alive"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name):g}; wanted seconds, above 0")
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ConfigError(f"root_path is {self.root_path!r}; wanted a path such as /qa, without a slash at its end")
        for origin in self.cors_origins:
            if origin != "*" and "://" not in origin:
                raise ConfigError(f"cors_origins has {origin!r}; wanted an origin such as https://example.org, or *")

    @property
    def limits(self) -> Limits:
        """What requests may take."""
        return Limits(body_bytes=self.max_body_bytes, waiting=self.max_waiting, seconds=self.timeout)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """What connections may take."""
        return ConnectionLimits(
            header_seconds=self.header_timeout, idle_seconds=self.keep_alive, connections=self.max_connections
        )


def settings_from(environment: Mapping[str, str], **given: Any) -> ServiceSettings:  # noqa: ANN401  # the fields' values
    """Read settings from variables such as QA_PORT; what is given, and not None, goes before them.

    Variables that no setting has are logged, not refused: Kubernetes makes some for a Service whose name begins so.

    Raises:
        ConfigError: a value that a setting cannot have; no model.

    """
    names = [field.name for field in dataclasses.fields(ServiceSettings)]
    unknown = [name for name in environment if name.startswith(_PREFIX) and name[len(_PREFIX) :].lower() not in names]
    if unknown:
        _LOG.warning("found the variables %s; wanted %s", ", ".join(unknown), ", ".join(map(_variable, names)))
    values: dict[str, Any] = {name: environment[_variable(name)] for name in names if environment.get(_variable(name))}
    if "cors_origins" in values:
        values["cors_origins"] = tuple(values["cors_origins"].split())
    values |= {name: value for name, value in given.items() if value is not None}
    if "model" not in values:
        raise ConfigError(f"found no {_variable('model')}; wanted the folder of a trained model, or a hub id")
    try:
        return TypeAdapter(ServiceSettings).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigError(
            f"{_variable(name)} is {values[name]!r}; wanted {_wanted(first['msg'], values[name])}"
        ) from error


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


def _wanted(message: str, value: object) -> str:
    linked = isinstance(value, str) and value.startswith("tcp://")
    hint = " (Kubernetes makes this variable for a Service called qa: set enableServiceLinks: false)" if linked else ""
    return message.removeprefix("Input should be ") + hint
