"""Sigma correlation rules: what several events say together. docs/correlation.md defines window and match."""
