"""`python -m gvlab.cli` is `gvlab`, too."""

from gvlab.cli.main import main

if __name__ == "__main__":
    main()
