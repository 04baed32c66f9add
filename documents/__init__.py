"""Builds the documentation: the reference pages, which are generated from code, and the site.

python -m documents reference    # writes docs/reference anew
python -m documents site         # builds build/docs/site
"""
