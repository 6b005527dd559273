"""Lab Streaming Layer: finding, reading, publishing and watching streams."""
