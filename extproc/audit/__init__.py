"""The audit trail: the journal, its verification and search, and the shipper that turns records into spans."""
