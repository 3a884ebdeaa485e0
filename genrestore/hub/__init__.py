"""Models from and to the Hub, through `huggingface_hub` alone: its addresses, cache, tokens, proxies and offline mode."""
