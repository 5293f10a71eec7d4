"""Engines: each holds samples in one way and runs the steps of a fit over them (contract.py); table.py chooses one."""
