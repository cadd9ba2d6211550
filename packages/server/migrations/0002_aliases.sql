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

-- The names of things, made for those that have none: `names` holds a proposal for each, or '' for the next number.
-- Who names the same thing at the same moment wins or is missing here; whoever is missing asks again. A function,
-- because its plan is kept: naming follows every send of a client that wants numbers.
create function names_of(workspace uuid, in_scheme text, of_kind text, ids uuid[], names text[])
returns table (thing uuid, label text) language plpgsql
set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  with wanted as (
    select * from unnest(ids, names) with ordinality as w (id, name, place)
  ), known as (
    select w.id, a.name from wanted w
    join alias a on a.workspace_id = workspace and a.scheme = in_scheme and a.kind = of_kind and a.id = w.id
  ), missing as (
    select w.id, w.name, row_number() over (order by w.place) as place from wanted w
    where not exists (select 1 from known k where k.id = w.id)
  ), taken as (
    insert into alias_counter as k (workspace_id, scheme, kind, last)
    select workspace, in_scheme, of_kind, count(*) from missing having count(*) > 0
    on conflict (workspace_id, scheme, kind) do update set last = k.last + excluded.last returning last
  ), made as (
    insert into alias (workspace_id, scheme, kind, id, name)
    select workspace, in_scheme, of_kind, m.id, case when m.name <> '' then m.name
      else ((select t.last from taken t) - (select count(*) from missing) + m.place)::text end
    from missing m
    on conflict (workspace_id, scheme, kind, id) do nothing returning id, name
  )
  select k.id, k.name from known k union all select m.id, m.name from made m;
end $$;

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
