"""What was found, as text for people and rows for machines, in English and Japanese."""
