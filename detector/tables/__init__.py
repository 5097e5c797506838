"""Arrow schemas of everything a case stores; the names are those of the Sigma taxonomy."""
