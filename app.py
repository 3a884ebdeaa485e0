"""Open the page: `python app.py`."""

import sys

from genrestore.__main__ import main

if __name__ == "__main__":
    main(["app", *sys.argv[1:]])
