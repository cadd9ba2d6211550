-- The sweep looks for grants that have changed, as for everything else that decides what somebody may do.
create index access_grant_changed on access_grant (workspace_id, changed_xid);
