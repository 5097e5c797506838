"""The chain stages: SQL over the views of a case that finds what no single event says."""

from __future__ import annotations

from detector.chain.runner import ChainResult, Problem, run_case, run_stages
from detector.chain.stages import Parameter, Stage, load_stages, needs_of, parse_stage

__all__ = [
    "ChainResult",
    "Parameter",
    "Problem",
    "Stage",
    "load_stages",
    "needs_of",
    "parse_stage",
    "run_case",
    "run_stages",
]
