"""Picture files to pixels and back, with everything a file carries. `image` is the way in; nothing here computes on pictures."""
