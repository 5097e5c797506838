"""The case folder: evidence in, tables and views out."""
