"""Errors that videorep raises on purpose: a sentence that says what was expected, what was received and what to do.

The command line prints it and exits 1, without a traceback.
"""


class VideorepError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(VideorepError, ValueError):
    """A setting has a value that the system cannot work with."""


class DataError(VideorepError):
    """Input files (videos, digits, label lists) are missing, unreadable or do not fit together."""


class ShardError(VideorepError):
    """A folder of shards is missing, unfinished, damaged or not of the kind that was asked for."""


class RunError(VideorepError):
    """A run folder is missing, unfinished, of another kind, or would be overwritten."""


class BackboneError(VideorepError):
    """A convnet cannot be loaded or does not fit the frames."""


class LayerError(BackboneError):
    """A convnet has no layer of the name that was asked for."""


class StorageError(VideorepError):
    """Shards lie at a URL that cannot be read with what is installed."""


class ServerError(VideorepError):
    """A model server cannot be reached, or refuses a request."""


class OutputError(VideorepError):
    """A result cannot be written where it was asked for."""


class VideorepWarning(UserWarning):
    """What a user should know of work that goes on all the same; the command line prints its one sentence."""
