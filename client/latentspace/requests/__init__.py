"""Arguments of calls to messages; shared by both clients."""
