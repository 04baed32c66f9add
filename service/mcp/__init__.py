"""The Model Context Protocol at /mcp; needs the extra `mcp`."""
