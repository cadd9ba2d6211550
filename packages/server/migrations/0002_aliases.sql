-- Names that other protocols have for things of ours: decimal numbers, hex strings. A thing has at most one name in a
-- scheme, made when somebody first asks for it; names of one scheme and kind are unique in the workspace.
create table alias (
  workspace_id uuid not null references workspace (id),
  scheme text not null,
  kind text not null,
  id uuid not null,
  name text not null,
  primary key (workspace_id, scheme, kind, id)
);
create unique index alias_name on alias (workspace_id, scheme, kind, name);

-- Where the next decimal name of a kind comes from.
create table alias_counter (
  workspace_id uuid not null references workspace (id),
  scheme text not null,
  kind text not null,
  last bigint not null default 0,
  primary key (workspace_id, scheme, kind)
);

-- Places where a dialect answers at the root, for clients that cannot be given a path: an extra port or a host name.
create table mount (
  workspace_id uuid not null references workspace (id),
  id uuid not null,
  dialect text not null,
  port integer,
  host text,
  options jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (workspace_id, id),
  check ((port is null) <> (host is null))
);
create unique index mount_port on mount (port) where port is not null;
create unique index mount_host on mount (host) where host is not null;
