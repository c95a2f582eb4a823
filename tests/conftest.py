"""What all tests share."""

import signal

# A shell lets what it runs in the background ignore SIGINT, and processes that tests interrupt
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
