"""Logs of VPN gateways and firewalls, one module per product."""
