"""The web page: our own files, with which a browser calls the public routes."""
