"""The command line: `main` begins it."""
