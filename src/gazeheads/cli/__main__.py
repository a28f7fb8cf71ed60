"""`python -m gazeheads.cli`: the command line without its script."""

from gazeheads.cli.main import main

if __name__ == "__main__":
    main()
