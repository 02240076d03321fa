"""Arithmetic of smaller layers: which columns and weights go, what stays makes good for it. Knows no graph."""
