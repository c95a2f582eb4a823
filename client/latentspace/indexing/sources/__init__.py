"""What can be indexed: folders, tables, archives, texts, graphs."""
