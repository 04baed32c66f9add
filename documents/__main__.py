"""`python -m documents reference | site`."""

from documents.commands import main

if __name__ == "__main__":
    main()
