"""Recurrent cells, one file each; every wiring takes any of them."""
