-- A refresh clears the tokens of its own session, and a session that is removed takes its tokens along: neither should
-- read those of the whole workspace.
create index refresh_token_session on refresh_token (workspace_id, session_id);
-- Expired sessions are looked for in all workspaces at once.
create index session_expiry on session (expires_at);
