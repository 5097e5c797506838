"""Find the chain of an attack in the logs a hospital still has, and print it with its evidence."""

from __future__ import annotations

__version__ = "0.1.0"
