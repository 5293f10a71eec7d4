"""``python -m fastkmeans`` is the ``fastkmeans`` command."""

from .cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
