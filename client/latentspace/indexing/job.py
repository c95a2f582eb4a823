"""A job: a source into a collection, as often as one likes."""

from latentspace.indexing.options import JobOptions, OnFailed, OnProgress, Progress
from latentspace.indexing.records import Source
from latentspace.sync.client import Client


def run_job(
    client: Client,
    source: Source,
    options: JobOptions,
    on_progress: OnProgress | None = None,
    on_failed: OnFailed | None = None,
) -> Progress:
    """Writes what is missing or changed; what is stored as it is costs one lookup.

    May be stopped anywhere, also by force, and run again: nothing is doubled and nothing lost.

    Args:
        on_progress: called now and then, and at the end.
        on_failed: called for every record that could not be read or was refused.

    Raises:
        SourceError: the source cannot be read any further.
        TooManyErrorsError: more records failed than `options.max_errors`.
        LatentspaceError: the server refuses the job, or cannot be reached any more.
    """
    raise NotImplementedError
