"""The database backend of Django (`ENGINE = "apps.kernel.database"`) and what it relies on in the database.

base         connections that take the isolation of the work at hand along, and refuse a role that is above it
cursors      how each statement takes it along
roles        the roles of the database, made once by a superuser
isolating    row policies, owners and grants, brought up to date after every migrate
"""
