"""One lock for the NetCDF library, which must not be entered by two threads at once."""

import threading

NETCDF_LOCK = threading.RLock()
"""Held around every call that opens, reads, writes or closes a NetCDF file."""
