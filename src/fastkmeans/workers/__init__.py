"""Samples that lie on several workers, and the fit of them with the bits of one array. transport.py says what a transport is."""
