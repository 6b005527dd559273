"""`python -m bci` is `bci`."""

from bci.cli import main

if __name__ == "__main__":
    main()
