"""Forms in which Windows events arrive."""
