"""The page for people: files of our own, which a browser runs against the routes that all use."""
