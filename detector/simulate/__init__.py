"""A hospital and its attack, written as log files of the true formats with the ground truth beside them."""

from __future__ import annotations

from detector.errors import SimulationError
from detector.simulate.options import SimulationOptions
from detector.simulate.run import write
from detector.simulate.truth import Truth

__all__ = ["SimulationError", "SimulationOptions", "Truth", "write"]
