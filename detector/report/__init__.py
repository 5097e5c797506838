"""One module per output; pure functions from a case's tables to text, which `detector.cli` prints."""
