"""A `.tflite` as a device over TCP: run by tflite-runtime or LiteRT, spoken to as `serial:socket://HOST:PORT`.

    python -m firmware_tools.serve MODEL.tflite --port 7070

This folder needs Python, NumPy and one of the two runtimes, and nothing else of this project: copied to a Raspberry
Pi, it runs there as `python -m serve MODEL.tflite`. The runtime computes a whole inference when op 0 is asked for and
keeps every tensor; the ops after it are then answered one by one. Nothing can be written but the inputs, which HELLO
says by its capabilities.
"""

from .model import ServedModel, ServeError
from .tcp import CONNECTIONS, IDLE_SECONDS, TOKEN_VARIABLE, Server, is_loopback

__all__ = ["CONNECTIONS", "IDLE_SECONDS", "TOKEN_VARIABLE", "ServeError", "ServedModel", "Server", "is_loopback"]
