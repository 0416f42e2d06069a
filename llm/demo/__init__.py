"""A model provider of one machine: speaks two wire formats, answers from what it was sent."""
