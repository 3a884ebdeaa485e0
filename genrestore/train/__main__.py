from genrestore import console
from genrestore.train.command import main

if __name__ == "__main__":
    console.run(main)
