"""One module per log format: recognise it by content, yield typed records or warnings, detect nothing."""
