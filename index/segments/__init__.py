"""Parts of a collection: rows, ids, columns and an index each, in memory and as files."""
