"""Several processes that serve on one port: a supervisor, its workers, and their messages.

Every worker is a whole service with its own socket on the same port (SO_REUSEPORT): the kernel
distributes connections evenly over the listening sockets, and a dead worker's share goes to the
others at once. One inherited listening socket would distribute a burst badly: the process that
wakes first takes most connections, and keeps them.
"""
