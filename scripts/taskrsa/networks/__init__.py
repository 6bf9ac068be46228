"""Tables of networks, how each is loaded, where it is tapped, and its features."""
