"""The command line; needs the extra `cli`."""

import sys

USAGE = 2


def main() -> None:
    """Entry point of `latentspace`; ends the process with its exit code."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(
            "latentspace: the command line is not installed: pip install 'latentspace[cli]'",
            file=sys.stderr,
        )
        raise SystemExit(USAGE) from None
    from latentspace.cli.app import app

    app(prog_name="latentspace")
