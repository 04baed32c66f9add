"""Services that are killed while clients read and write: whether anything is lost or differs."""
