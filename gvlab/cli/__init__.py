"""The command line: `main` is the door, and each file beside it holds the commands of one kind."""
