"""`python -m schedcore` is the command line."""

from __future__ import annotations

from schedcore._cli import main

if __name__ == "__main__":
    main()
