"""What comes in and goes out by HTTP, and how it is answered."""
