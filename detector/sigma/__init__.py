"""Sigma rules: load, compile to SQL, cache, scan a case.

A compiled rule is plain data; pySigma is imported only when a rule has to be compiled.
"""

from __future__ import annotations
