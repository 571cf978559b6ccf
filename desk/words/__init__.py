"""Word lists: what people write when they want a person, are angry, or want us to stop."""
