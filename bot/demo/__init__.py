"""A sample shop with its own data, so that a newcomer sees everything without reading anything."""
