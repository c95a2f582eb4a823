"""The asyncio client. The synchronous one is generated from these files, but for transport.py."""
