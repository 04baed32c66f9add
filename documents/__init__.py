"""The documents: their reference, which is made from code, and their site.

python -m documents reference    # writes docs/reference anew
python -m documents site         # builds build/docs/site
"""
