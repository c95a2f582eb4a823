"""Imports from files of the server, as operations.

The work is that of `latentspace index`: an indexing job, here in a child process of the server. It
is a client of this very server, so that an import is what it is from outside: bulk work, which
gives way to single calls, and which can be stopped anywhere and started again.
"""

import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from latentspace.indexing.export_format import ExportError
from latentspace.indexing.options import SourceError
from services.rpc.import_job import open_records
from services.rpc.import_params import read_import_params
from services.runtime.collections import Collections
from services.runtime.errors import RequestError
from services.runtime.jobs import Jobs
from services.runtime.operations import Operation, Operations, Reporter
from services.runtime.pools import run_in
from services.runtime.sources import Sources

FUNCTION = "services.rpc.import_job:run"
KIND = "import"


class Imports:
    """Imports of a server.

    Args:
        folder: for the records that fail, a file an import.
    """

    def __init__(
        self,
        collections: Collections,
        operations: Operations,
        jobs: Jobs,
        sources: Sources,
        folder: Path,
    ) -> None:
        self._collections, self._operations = collections, operations
        self._jobs, self._sources, self._folder = jobs, sources, folder
        #: HOST:PORT of this server, known when its port is open
        self.address = ""

    async def start(self, collection: str, source: str, params: Mapping[str, Any]) -> Operation:
        """Checks all that can be checked now, and starts the operation.

        Raises:
            RequestError, SourceDeniedError, CollectionNotFoundError, ReadOnlyError
        """
        found = self._collections.get(collection)
        name = found.name
        if found.info.read_only:
            raise RequestError("collection", f"{name!r} is a vocabulary: it cannot be written")
        pool = self._collections.pools.prepare
        path = await run_in(pool, self._sources.find, source)
        asked = read_import_params(params)
        try:
            await run_in(pool, open_records, path, asked.source, self._sources)
        except (SourceError, ExportError) as error:
            raise RequestError("source", f"source: {error}") from error
        # last, since another call may have come in between
        if self._operations.active(KIND, name):
            message = f"an import into {name!r} is under way: watch or cancel it first"
            raise RequestError("collection", message)
        argument = {
            "address": self.address,
            "collection": name,
            "source": str(path),
            "params": dict(params),
            "roots": self._sources.roots,
            "dead_letters": str(self._folder / f"{name}-{uuid.uuid4().hex[:8]}.jsonl"),
        }
        return self._operations.start(KIND, name, "records", partial(self._work, argument), True)

    def _work(self, argument: Mapping[str, Any], report: Reporter) -> Mapping[str, Any]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._jobs.scratch() as scratch:
            return self._jobs.run(FUNCTION, argument, scratch, report)
