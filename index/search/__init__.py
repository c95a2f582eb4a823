"""From queries to hits: exact, by index, over coarse lists, or along a graph."""
