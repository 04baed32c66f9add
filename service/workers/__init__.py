"""Several processes that serve on one port: a supervisor, its workers, and what they say.

Every worker is a whole service with a socket of its own on the same port (SO_REUSEPORT): the kernel
spreads connections over those that listen, however fast they come, and a dead worker's share goes
to the others at once. One listening socket that all inherit spreads a burst badly: whoever wakes up
first takes most of it, and keeps the connections.
"""
