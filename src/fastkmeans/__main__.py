"""``python -m fastkmeans`` is the ``fastkmeans`` command."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
