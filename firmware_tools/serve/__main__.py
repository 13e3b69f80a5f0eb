"""`python -m firmware_tools.serve`: the server where nothing but a runtime and NumPy is installed."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from . import TOKEN_VARIABLE, ServedModel, ServeError, Server


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped. Exit code 0: stopped (Ctrl-C, SIGTERM); 2: what was given cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m firmware_tools.serve", description="A .tflite as a device.")
    parser.add_argument("model", metavar="MODEL.tflite")
    parser.add_argument("--port", type=int, default=7070, help="TCP port; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; others than this need a token")
    parser.add_argument("--token", default=os.environ.get(TOKEN_VARIABLE), help=f"default: ${TOKEN_VARIABLE}")
    parser.add_argument("--kernels", default="default", help="default or reference")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        model = ServedModel(given.model, kernels=given.kernels, threads=given.threads)
        with Server(model, host=given.host, port=given.port, token=given.token) as server:
            server.serve_until_stopped(logging.info)
    except ServeError as error:
        sys.stderr.write(f"serve: {error}\n")
        return 2
    except KeyboardInterrupt:  # before it served anybody
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
