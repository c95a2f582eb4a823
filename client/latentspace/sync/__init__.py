"""The synchronous client: generated from `aio` by scripts/generate_sync_client.py."""
