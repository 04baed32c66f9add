"""What commands of every room have in common: how options are read, and what is printed."""
