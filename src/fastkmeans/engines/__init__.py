"""Who runs the steps: an engine says where the samples are (contract.py), and one table chooses it (table.py)."""
