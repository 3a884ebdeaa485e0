"""What nets learn from: where pictures come from, what is wrong with them, what spoils them, and the batches made of them."""
