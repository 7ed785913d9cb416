"""What runs programs: devices as a mesh, processes, memory of devices, caches, what is compiled."""
