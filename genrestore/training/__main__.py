from genrestore import console
from genrestore.training.command import main

if __name__ == "__main__":
    console.run(main)
