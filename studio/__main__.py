"""`python -m studio` is the command `studio`."""

from .cli import main

if __name__ == "__main__":
    main()
