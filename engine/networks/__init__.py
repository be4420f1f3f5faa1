"""Networks in torch: recurrent cells, the wirings that take any of them, and the other architectures."""
