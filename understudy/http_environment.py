"""Proxies and certificates, which HTTP clients read from the environment."""

import os

# In capitals or small letters.
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
# What making an HTTP client raises if it cannot follow them: a proxy's scheme is unknown or its
# package is missing, or the certificates cannot be read.
UNUSABLE = (ImportError, OSError, ValueError)


def unusable_environment(error: Exception) -> str:
    """Puts one of `UNUSABLE` into words that name the variables."""
    given = [name for name in VARIABLES if {name, name.lower()} & os.environ.keys()]
    return (
        f"no connection can be made: {error}; correct what the environment says of proxies and "
        f"certificates ({', '.join(given) or 'none of the usual variables is set'})"
    )
