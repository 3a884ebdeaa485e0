"""How the page is served: who reaches it, what each visitor may take, where uploads lie."""
