"""The Model Context Protocol at its path; needs the extra `mcp`."""

PATH = "/mcp"
