"""Findings and hits joined into incidents along time-respecting paths; docs/incidents.md explains how."""
