"""The editors' desk: screens of the admin that write, each through the services of its app."""
