"""The errors that a user, a file or the machine can cause; each says which, what was found and what was wanted."""


class QAError(Exception):
    """Base of all errors of this package; the command line shows its message without a traceback."""


class ConfigError(QAError):
    """A setting, or a combination of settings, that no run can have."""


class DataError(QAError):
    """A data source that cannot be read: missing, empty, of an unknown format, or without the needed columns."""


class ExampleError(DataError):
    """Examples that break the rules of the data set; the message names row, id, what was found and what was wanted."""


class TokenizerError(QAError):
    """A tokenizer that cannot give what features need, such as character offsets."""


class FeatureError(QAError):
    """Settings that leave no room for context tokens in a window."""


class ModelError(QAError):
    """A model that does not load, has no span head, or does not fit its tokenizer."""


class LaunchError(QAError):
    """Processes, devices or a precision that are not the ones asked for."""


class NotFiniteError(QAError):
    """A loss or logits that are not finite numbers."""


class MemoryLimitError(QAError):
    """A batch that does not fit into the device's memory."""


class GatherError(QAError):
    """A feature that was lost, or counted twice, between the processes of an evaluation."""


class CheckpointError(QAError):
    """A checkpoint or run folder that cannot be written, read, or continued from."""


class MetricError(QAError):
    """Predictions and references that do not belong together."""
