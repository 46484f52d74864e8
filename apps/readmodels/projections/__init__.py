"""The projections of the storefront: pure folds of events into states, and pure renderings of states into documents."""
