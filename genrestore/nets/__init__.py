"""What nets are made of and trained with: blocks, losses, optimizers."""
