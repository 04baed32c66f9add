"""A service as a process on its own core, what it is asked, and the clients that ask."""
