"""Collections into files."""

from os import PathLike
from pathlib import Path

from latentspace.aio.collections import AsyncCollectionCalls
from latentspace.aio.points import AsyncPointCalls
from latentspace.filters import FilterLike
from latentspace.indexing.export import (
    Exported,
    OnPoints,
    export_file,
    points_of_page,
    without_digests,
)
from latentspace.indexing.export_format import About


class AsyncExportCalls(AsyncCollectionCalls, AsyncPointCalls):
    """Collections into files, which `latentspace index` and other programs read."""

    async def export(
        self,
        collection: str,
        path: str | PathLike[str],
        *,
        filter: FilterLike | None = None,
        columns: bool = False,
        on_points: OnPoints | None = None,
        timeout_s: float | None = None,
    ) -> Exported:
        """Writes all points, page by page in the order of their writing; memory stays flat.

        The file or folder appears when it is whole; until then, and after a failure, what was there
        before stays. Digests of indexing jobs are left out.

        Args:
            collection: name or alias.
            path: a name that ends in .parquet, else a folder for vectors.npy, ids.txt,
                payloads.jsonl and meta.json.
            filter: only points that pass.
            columns: declared fields as columns of their own (Parquet only).
            on_points: called after each page with the number of points so far.
            timeout_s: seconds for each page.

        Raises:
            ExportError: `path` is in the way, or cannot hold the points.
        """
        about = About.of(await self.collection(collection, timeout_s=timeout_s))
        page_size, token, points = points_of_page(about.dim), "", 0
        with export_file(Path(path), about, columns) as writer:
            while True:
                page = await self.list_points(
                    collection,
                    filter=filter,
                    page_size=page_size,
                    page_token=token,
                    with_vectors=True,
                    timeout_s=timeout_s,
                )
                if page.points:
                    await self._rpc.in_thread(writer.write, without_digests(page))
                    points += len(page)
                    if on_points is not None:
                        on_points(points)
                token = page.next_page_token
                if not token:
                    return Exported(Path(path), points, about)
