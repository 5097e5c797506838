"""From an activity to the records it leaves, on every machine that takes part."""
