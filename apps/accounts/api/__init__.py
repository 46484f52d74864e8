"""`/api/v1/auth/`: who works here."""
