"""All errors that a user, a file or the machine can cause; each says which, what was found and what was wanted."""


class QAError(Exception):
    """Base of all errors of this package; the command line shows its message without a traceback."""


class ConfigError(QAError):
    """A setting, or a combination of settings, that no run can have."""


class DataError(QAError):
    """A data source that cannot be read: missing, empty, of an unknown format, or without the needed columns."""


class SplitError(DataError):
    """A split that a data source does not have."""


class ExampleError(DataError):
    """Examples that break the rules of the data set; the message names row, id, what was found and what was wanted."""


class TokenizerError(QAError):
    """A tokenizer without what features need, such as character offsets."""


class FeatureError(QAError):
    """Settings that leave no room for context tokens in a window."""


class LabelError(QAError):
    """Labels that do not translate back to the references that they were made from."""


class ModelError(QAError):
    """A model that does not load, has no span head, or does not fit its tokenizer."""


class LaunchError(QAError):
    """Processes, devices or a precision that are not the ones asked for."""


class NotFiniteError(QAError):
    """A loss or logits that are not finite numbers."""


class MemoryLimitError(QAError):
    """A batch that does not fit into the device's memory."""


class IncompleteError(QAError):
    """A feature that was lost, or counted twice, on the way from the model to the predictions."""


class StorageError(QAError):
    """A file or folder that cannot be written, or that is not as it was written."""


class CheckpointError(QAError):
    """A checkpoint or run folder that a run cannot continue from."""


class ExportError(QAError):
    """An ONNX file that cannot be made, or does not answer as the model does."""


class HubError(QAError):
    """A hub that does not take the model."""


class TrackerError(QAError):
    """A tracker that does not take, or does not have, what it was asked for."""


class MetricError(QAError):
    """Predictions and references that do not belong together."""


class SweepError(QAError):
    """A file that describes no sweep, or a sweep of which runs have failed."""


class ComparisonError(QAError):
    """Runs that cannot be compared: without predictions, or on other examples."""


class JobError(QAError):
    """A job over many rows that cannot go on: its reader or its storage is at fault, not a row."""


class UsageError(QAError):
    """A combination of flags that makes no command."""


class MissingPackageError(QAError):
    """A command that needs packages that are not installed."""


class StoppedError(BaseException):
    """The run was asked to end before its end; `status` is the exit status that convention wants.

    Like KeyboardInterrupt it is raised wherever the program happens to be, so that no `except Exception` of a library
    may take it for a failure of its own.
    """

    def __init__(self, reason: str, status: int) -> None:
        """Take the reason, for the user, and the status."""
        super().__init__(reason, status)  # both, since processes send each other errors
        self.reason, self.status = reason, status

    def __str__(self) -> str:
        return self.reason


class QueueFullError(Exception):
    """The service has more waiting than it takes, or is about to end."""


class TooLargeError(Exception):
    """A request body has more bytes than the service takes."""


class ForkError(Exception):
    """A service whose model was loaded before its process was forked."""


class GoneError(Exception):
    """Nobody waits for the answer any more."""


def in_a_line(error: BaseException) -> str:
    """Return the first line of what a library's error says, or its class."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
