"""The audit log: who did what to which object, kept so that a change of it shows. docs/explanation/audit.md

The lists below are read by the code that grants rights to the database's roles.
"""

# The role the app runs as may INSERT and SELECT, and nothing else.
APPEND_ONLY_TABLES = ("audit_entry", "audit_position", "audit_seal", "audit_anchor")
# INSERT, SELECT and DELETE: what is personal can be erased, not rewritten.
ERASABLE_TABLES = ("audit_personal",)
# The only ways to delete from the tables above; they run as the tables' owner. EXECUTE is revoked from PUBLIC.
DEFINER_FUNCTIONS = ("audit_prune(uuid, bigint)", "audit_purge(uuid)")
# How far the sealer is: SELECT, INSERT and UPDATE. It holds no entry, and a wrong one costs time, never an entry.
STATE_TABLES = ("audit_horizon",)
