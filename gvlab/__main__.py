"""`python -m gvlab` is `gvlab`."""

from gvlab.cli.main import main

if __name__ == "__main__":
    main()
