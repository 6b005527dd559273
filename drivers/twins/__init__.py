"""Software twins of devices on pseudo-terminals, with dynamics."""
