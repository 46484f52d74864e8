"""How moments and days are written in the admin."""
