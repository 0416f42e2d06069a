"""Scores reports of the revenue skills against the data they were made of."""
