"""Proving a driver: the contract of the seam tried on its twin, and a look at what is on a port."""
