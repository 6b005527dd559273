"""What each device says: tables, codecs and declarations, and the protocol of our own node."""
