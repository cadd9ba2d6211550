CREATE DOMAIN public.conversation_kind AS text
	CONSTRAINT conversation_kind_check CHECK ((VALUE = ANY (ARRAY['support'::text, 'direct'::text, 'group'::text])));

CREATE DOMAIN public.conversation_status AS text
	CONSTRAINT conversation_status_check CHECK ((VALUE = ANY (ARRAY['open'::text, 'assigned'::text, 'snoozed'::text, 'closed'::text, 'archived'::text])));

CREATE FUNCTION public.append_all(of_workspaces uuid[], of_conversations uuid[], adds_seqs integer[], adds_ordinals integer[], adds_notes integer[], workspace_ids uuid[], conversation_ids uuid[], ids uuid[], sender_ids uuid[], kinds text[], bodies text[], visibilities text[], reply_to_ids uuid[], metadatas jsonb[], client_message_ids text[], send_keys uuid[], content_hashes uuid[], seqs_after integer[], ordinals_after integer[], notes_after integer[]) RETURNS TABLE(item integer, message_seq integer, role text, at timestamp with time zone, inbox uuid)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  written integer;
begin
  update conversation c set
    last_seq = c.last_seq + k.seqs, message_count = c.message_count + k.ordinals, note_count = c.note_count + k.notes,
    (updated_at, updated_span) = (select instant, span_of(instant) from clock_timestamp() as instant),
    changed_xid = pg_current_xact_id(), changed_span = span_of(pg_current_xact_id())
  from unnest(of_workspaces, of_conversations, adds_seqs, adds_ordinals, adds_notes) as k (w, id, seqs, ordinals, notes)
  where c.workspace_id = k.w and c.id = k.id;

  return query
  with judged as materialized (
    select g.*, c.last_seq - g.seqs as seq, c.message_count - g.ordinals as ordinal, c.note_count - g.notes as note_ordinal,
      p.role as sender_role, c.inbox_id, c.first_answer_at, c.updated_at
    from unnest(
      workspace_ids, conversation_ids, ids, sender_ids, kinds, bodies, visibilities, reply_to_ids, metadatas,
      client_message_ids, send_keys, content_hashes, seqs_after, ordinals_after, notes_after
    ) with ordinality as g (
      w, c, id, sender, kind, body, visibility, reply_to, metadata, client_message_id, send_key, content_hash,
      seqs, ordinals, notes, n
    )
    -- One row each, by a range of one key, in order: only the primary key can answer that without sorting. For a plain
    -- join the planner may read a whole workspace (before it has statistics) or all who take part (always).
    cross join lateral (
      select c.* from conversation c where c.workspace_id = g.w and c.id between g.c and g.c order by c.id limit 1) c
    cross join lateral (
      select p.* from participant p
      where p.workspace_id = g.w and p.conversation_id = g.c and p.person_id between g.sender and g.sender
      order by p.person_id limit 1) p
    where c.deleted_at is null and refusal_of_send(g.w, g.c, c.status, c.grant_required, g.sender, p.left_at is null,
      p.role, g.visibility, g.reply_to) is null
  ),
  inserted as (
    insert into message (
      workspace_id, conversation_id, seq, id, sender_id, sender_role, kind, body, visibility, reply_to_id, metadata,
      client_message_id, send_key, content_hash, ordinal, note_ordinal, created_at
    )
    select j.w, j.c, j.seq, j.id, j.sender, j.sender_role, j.kind, j.body, j.visibility, j.reply_to, j.metadata,
      j.client_message_id, j.send_key, j.content_hash, j.ordinal, j.note_ordinal, j.updated_at
    from judged j
  ),
  answered as (
    update conversation c set first_answer_at = j.updated_at
    from judged j
    where j.first_answer_at is null and j.sender_role = 'agent' and j.visibility = 'everyone'
      and c.workspace_id = j.w and c.id = j.c
  )
  select j.n::integer, j.seq, j.sender_role, j.updated_at, j.inbox_id from judged j order by j.n;

  get diagnostics written = row_count;
  if written < cardinality(ids) then
    raise exception 'somebody in this batch may not write' using errcode = 'PLY01';
  end if;
end $$;

CREATE FUNCTION public.append_each(workspace_ids uuid[], conversation_ids uuid[], ids uuid[], sender_ids uuid[], kinds text[], bodies text[], visibilities text[], reply_to_ids uuid[], metadatas jsonb[], client_message_ids text[], send_keys uuid[], content_hashes uuid[], attachments jsonb[]) RETURNS TABLE(item integer, outcome text, message_id uuid, message_seq integer, role text, at timestamp with time zone, inbox uuid)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  has_files constant boolean := exists (select 1 from unnest(attachments) as files where files is not null);
begin
  perform 1 from conversation c
  where (c.workspace_id, c.id) in (select w, i from unnest(workspace_ids, conversation_ids) as k (w, i))
  order by c.workspace_id, c.id for no key update;
  if has_files then
    perform 1 from attachment a
    where (a.workspace_id, a.id) in (
      select w, f::uuid from unnest(workspace_ids, attachments) as k (w, files), jsonb_array_elements_text(k.files) f)
    order by a.workspace_id, a.id for no key update;
  end if;

  return query
  with given as (
    select * from unnest(
      workspace_ids, conversation_ids, ids, sender_ids, kinds, bodies, visibilities, reply_to_ids, metadatas,
      client_message_ids, send_keys, content_hashes, attachments
    ) with ordinality as g (
      w, c, id, sender, kind, body, visibility, reply_to, metadata, client_message_id, send_key, content_hash,
      files, n
    )
  ),
  judged as materialized (
    select g.*, c.last_seq, c.message_count, c.note_count, c.inbox_id, p.role as sender_role,
      earlier.id as earlier_id, earlier.seq as earlier_seq, earlier.created_at as earlier_at,
      case
        when c.id is null or c.deleted_at is not null then 'missing'
        when earlier.id is not null then
          case when earlier.content_hash = g.content_hash then 'repeat' else 'conflict' end
        else coalesce(
          refusal_of_send(g.w, g.c, c.status, c.grant_required, g.sender, p.person_id is not null and p.left_at is null,
            p.role, g.visibility, g.reply_to),
          case when g.files is not null then refusal_of_files(g.w, g.c, g.sender, g.files, c.grant_required) end,
          'written')
      end as verdict
    from given g
    left join conversation c on c.workspace_id = g.w and c.id = g.c
    left join participant p on p.workspace_id = g.w and p.conversation_id = g.c and p.person_id = g.sender
    -- A range of one key, in order: only the index of keys can answer that without sorting. A plain equation may be
    -- answered by any index that begins with the workspace, and while the table has no statistics the planner takes
    -- one and reads the whole workspace for every send (200 sends beside 33,000 messages: 3.8 s instead of 20 ms).
    left join lateral (
      select m.* from message m
      where m.workspace_id = g.w and m.send_key between g.send_key and g.send_key
      order by m.send_key limit 1
    ) earlier on true
  ),
  -- What the conversation has come to with each item, so that its last item says what it has come to in all.
  numbered as (
    select j.*,
      j.last_seq + count(*) filter (where j.verdict = 'written') over so_far as new_seq,
      j.message_count + count(*) filter (where j.verdict = 'written' and j.visibility = 'everyone' and j.kind <> 'system') over so_far as new_ordinal,
      j.note_count + count(*) filter (where j.verdict = 'written' and j.visibility = 'agents') over so_far as new_note_ordinal,
      bool_or(j.verdict = 'written' and j.sender_role = 'agent' and j.visibility = 'everyone') over so_far as has_answer,
      lead(j.n) over so_far is null as is_last,
      clock_timestamp() as written_at
    from judged j
    window so_far as (partition by j.w, j.c order by j.n)
  ),
  inserted as (
    insert into message (
      workspace_id, conversation_id, seq, id, sender_id, sender_role, kind, body, visibility, reply_to_id, metadata,
      client_message_id, send_key, content_hash, ordinal, note_ordinal, attachment_count, created_at
    )
    select f.w, f.c, f.new_seq, f.id, f.sender, f.sender_role, f.kind, f.body, f.visibility, f.reply_to, f.metadata,
      f.client_message_id, f.send_key, f.content_hash, f.new_ordinal, f.new_note_ordinal,
      coalesce(jsonb_array_length(f.files), 0), f.written_at
    from numbered f where f.verdict = 'written'
  ),
  moved as (
    update conversation c set
      last_seq = t.new_seq, message_count = t.new_ordinal, note_count = t.new_note_ordinal,
      updated_at = t.written_at, updated_span = span_of(t.written_at),
      changed_xid = pg_current_xact_id(), changed_span = span_of(pg_current_xact_id()),
      first_answer_at = coalesce(c.first_answer_at, case when t.has_answer then t.written_at end)
    from numbered t
    where t.is_last and t.new_seq > t.last_seq and c.workspace_id = t.w and c.id = t.c
  )
  select r.n::integer, r.verdict,
    case when r.verdict = 'written' then r.id else r.earlier_id end,
    case when r.verdict = 'written' then r.new_seq::integer else r.earlier_seq end, r.sender_role,
    case when r.verdict = 'written' then r.written_at else r.earlier_at end, r.inbox_id
  from numbered r
  order by r.n;

  if has_files then
    update attachment a set message_id = m.id, conversation_id = m.conversation_id
    from unnest(workspace_ids, ids, attachments) as k (w, id, files), jsonb_array_elements_text(k.files) as file, message m
    where k.files is not null and m.workspace_id = k.w and m.id = k.id and a.workspace_id = k.w and a.id = file::uuid;
  end if;
end $$;

CREATE FUNCTION public.is_answerable(workspace uuid, conversation uuid, message uuid, sees_notes boolean) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return exists (
    select 1 from message m where m.workspace_id = workspace and m.id = message and m.conversation_id = conversation
      and (m.visibility = 'everyone' or sees_notes));
end $$;

CREATE FUNCTION public.is_granted(workspace uuid, conversation uuid, person uuid, scope text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return exists (
    select 1 from participant o cross join lateral (
      select 1 from access_grant a
      where a.workspace_id = workspace
        and a.person_a = least(person, o.person_id) and a.person_b = greatest(person, o.person_id)
        and a.ended_at is null and scope = any (a.scopes)
        and coalesce(a.starts_at, '-infinity') <= now() and coalesce(a.ends_at, 'infinity') > now()
      limit 1) a
    where o.workspace_id = workspace and o.conversation_id = conversation and o.person_id <> person
      and o.left_at is null);
end $$;

CREATE FUNCTION public.move_receipt(workspace uuid, conversation uuid, person uuid, delivered integer, read integer, messages int4multirange, sees_notes boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  mark receipt;
  last integer;
  new_read integer;
  new_delivered integer;
  given int4multirange;
  alone int4multirange;
  marked integer := 0;
  first_unread integer;
begin
  select last_seq into strict last from conversation c where c.workspace_id = workspace and c.id = conversation;
  insert into receipt (workspace_id, conversation_id, person_id) values (workspace, conversation, person)
    on conflict do nothing;
  select * into strict mark from receipt r
    where r.workspace_id = workspace and r.conversation_id = conversation and r.person_id = person for no key update;
  new_read := greatest(mark.read_seq, least(read, last));

  given := messages * int4multirange(int4range(new_read, last, '(]'));
  -- Read earlier, out of order, and still beyond the mark.
  select coalesce(range_agg(int4range(x.from_seq, x.to_seq, '(]')), '{}') into alone from receipt_range x
    where x.workspace_id = workspace and x.conversation_id = conversation and x.person_id = person
      and x.kind = 'read' and x.to_seq > new_read;
  if not isempty(given + alone) then
    select found.seq into first_unread
      from (select g from unnest(int4multirange(int4range(new_read, last, '(]')) - given - alone) as g order by g) as gap
      cross join lateral (
        select m.seq from message m
        where m.workspace_id = workspace and m.conversation_id = conversation
          and m.seq >= lower(gap.g) and m.seq < upper(gap.g)
          and m.sender_id is distinct from person and m.kind <> 'system' and m.retracted_at is null
          and (sees_notes or m.visibility = 'everyone')
        order by m.seq limit 1) as found
      limit 1;
    new_read := greatest(
      new_read, upper((given + alone) * int4multirange(int4range(null, first_unread))) - 1);
    -- What the mark has reached is told by its own move; only what lies beyond it stands alone.
    insert into receipt_range (workspace_id, conversation_id, person_id, kind, from_seq, to_seq)
      select workspace, conversation, person, 'read', g - 1, g
      from unnest((given - alone) * int4multirange(int4range(new_read, null, '(]'))) as r,
        generate_series(lower(r), upper(r) - 1) as g
      on conflict do nothing;
    get diagnostics marked = row_count;
  end if;

  new_delivered := greatest(mark.delivered_seq, least(delivered, last), new_read);
  if new_read = mark.read_seq and new_delivered = mark.delivered_seq and marked = 0 then return false; end if;

  update receipt r set
    read_seq = new_read, read_at = case when new_read > mark.read_seq then clock_timestamp() else r.read_at end,
    delivered_seq = new_delivered,
    delivered_at = case when new_delivered > mark.delivered_seq then clock_timestamp() else r.delivered_at end,
    changed_xid = pg_current_xact_id(), changed_span = span_of(pg_current_xact_id())
  where r.workspace_id = workspace and r.conversation_id = conversation and r.person_id = person;
  insert into receipt_range (workspace_id, conversation_id, person_id, kind, from_seq, to_seq)
    select workspace, conversation, person, k, f, t
    from (values ('read', mark.read_seq, new_read), ('delivered', mark.delivered_seq, new_delivered)) as v (k, f, t)
    where t > f
    on conflict do nothing;
  return true;
end $$;

CREATE FUNCTION public.names_of(workspace uuid, in_scheme text, of_kind text, ids uuid[], names text[]) RETURNS TABLE(thing uuid, label text)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION public.refusal_of_files(workspace uuid, conversation uuid, person uuid, files jsonb, needs_grant boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  claimable integer;
  homeless integer;
begin
  select count(*), count(*) filter (where a.conversation_id is null) into claimable, homeless
  from attachment a
  where a.workspace_id = workspace and a.id in (select f::uuid from jsonb_array_elements_text(files) f)
    and (a.conversation_id = conversation or a.conversation_id is null)
    and a.uploader_id = person and a.message_id is null;
  if claimable <> jsonb_array_length(files) then return 'bad_attachment'; end if;
  if needs_grant and homeless > 0 and not is_granted(workspace, conversation, person, 'attach') then
    return 'no_grant';
  end if;
  return null;
end $$;

CREATE FUNCTION public.refusal_of_send(workspace uuid, conversation uuid, status text, grant_required boolean, person uuid, takes_part boolean, role text, visibility text, reply_to uuid) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select case
    when not takes_part then 'outsider'
    when status = 'archived' then 'archived'
    when status = 'closed' and visibility = 'everyone' then 'closed'
    when grant_required and visibility = 'everyone' and not is_granted(workspace, conversation, person, 'write') then 'no_grant'
    when reply_to is not null and not is_answerable(workspace, conversation, reply_to, role <> 'contact') then 'bad_reply'
  end $$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception 'audit entries are append-only';
end $$;

CREATE FUNCTION public.span_of(instant timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$
  select date_bin('10 seconds', instant, '2000-01-01 00:00:00+00') $$;

CREATE FUNCTION public.span_of(xid xid8) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$ select xid::text::bigint >> 10 $$;

CREATE TABLE public.access_grant (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text DEFAULT 'grant'::text NOT NULL,
    person_a uuid NOT NULL,
    person_b uuid NOT NULL,
    scopes text[] NOT NULL,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    ended_at timestamp with time zone,
    external_ref text,
    changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT access_grant_check CHECK ((person_a < person_b))
);

CREATE TABLE public.alias (
    workspace_id uuid NOT NULL,
    scheme text NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL
);

CREATE TABLE public.alias_counter (
    workspace_id uuid NOT NULL,
    scheme text NOT NULL,
    kind text NOT NULL,
    last bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.api_key (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    person_id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone
);

CREATE TABLE public.attachment (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    conversation_id uuid,
    uploader_id uuid NOT NULL,
    message_id uuid,
    name text NOT NULL,
    size bigint NOT NULL,
    mime_type text NOT NULL,
    sha256 text NOT NULL,
    width integer,
    height integer,
    has_thumbnail boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.audit_entry (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    target_type text NOT NULL,
    target_id text,
    before jsonb,
    after jsonb,
    address text
);

CREATE TABLE public.conversation (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind public.conversation_kind NOT NULL,
    inbox_id uuid,
    topic text DEFAULT 'SUPPORT'::text NOT NULL,
    status public.conversation_status DEFAULT 'open'::text NOT NULL,
    subject text DEFAULT ''::text NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    assignee_id uuid,
    created_by uuid,
    exclusive_key text,
    client_key text,
    grant_required boolean DEFAULT false NOT NULL,
    last_seq integer DEFAULT 0 NOT NULL,
    message_count integer DEFAULT 0 NOT NULL,
    note_count integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    deleted_at timestamp with time zone,
    first_answer_at timestamp with time zone,
    changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    updated_span timestamp with time zone DEFAULT public.span_of(now()) NOT NULL,
    changed_span bigint DEFAULT public.span_of(pg_current_xact_id()) NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.event (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq integer NOT NULL,
    type text NOT NULL,
    actor_id uuid,
    visibility text DEFAULT 'everyone'::text NOT NULL,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.identity_key (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    material text NOT NULL,
    inbox_id uuid,
    issuer text,
    audience text,
    user_id_claim text DEFAULT 'sub'::text NOT NULL,
    staff_roles jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT identity_key_kind_check CHECK ((kind = ANY (ARRAY['hs256'::text, 'rs256'::text, 'eddsa'::text, 'jwks'::text])))
);

CREATE TABLE public.inbox (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    kind text DEFAULT 'team'::text NOT NULL,
    widget_key text NOT NULL,
    origins text[] DEFAULT '{}'::text[] NOT NULL,
    greeting text DEFAULT ''::text NOT NULL,
    color text DEFAULT '#2f6f5e'::text NOT NULL,
    identity_required boolean DEFAULT false NOT NULL,
    reopen_hours integer DEFAULT 72 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.inbox_member (
    workspace_id uuid NOT NULL,
    inbox_id uuid NOT NULL,
    person_id uuid NOT NULL,
    role text DEFAULT 'member'::text NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT inbox_member_role_check CHECK ((role = ANY (ARRAY['member'::text, 'supervisor'::text])))
);

CREATE TABLE public.invitation (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    email text,
    role text NOT NULL,
    inbox_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    token_hash bytea NOT NULL,
    created_by uuid,
    expires_at timestamp with time zone NOT NULL,
    accepted_at timestamp with time zone,
    accepted_by uuid,
    revoked_at timestamp with time zone
);

CREATE TABLE public.message (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq integer NOT NULL,
    id uuid NOT NULL,
    sender_id uuid,
    sender_role text NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    visibility text NOT NULL,
    reply_to_id uuid,
    metadata jsonb,
    client_message_id text,
    send_key uuid NOT NULL,
    content_hash uuid NOT NULL,
    ordinal integer NOT NULL,
    note_ordinal integer NOT NULL,
    attachment_count smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    edited_at timestamp with time zone,
    retracted_at timestamp with time zone
);

CREATE TABLE public.message_revision (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq integer NOT NULL,
    revision integer NOT NULL,
    body text NOT NULL,
    actor_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.migration (
    name text NOT NULL,
    ran_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.mount (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    dialect text NOT NULL,
    port integer,
    host text,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT mount_check CHECK (((port IS NULL) <> (host IS NULL)))
);

CREATE TABLE public.participant (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    person_id uuid NOT NULL,
    role text NOT NULL,
    joined_at timestamp with time zone DEFAULT now() NOT NULL,
    left_at timestamp with time zone,
    changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT participant_role_check CHECK ((role = ANY (ARRAY['contact'::text, 'agent'::text, 'bot'::text])))
);

CREATE TABLE public.person (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    role text NOT NULL,
    name text NOT NULL,
    email text,
    username text,
    external_id text,
    avatar_url text,
    password_hash text,
    verified boolean DEFAULT false NOT NULL,
    wanted_role text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    session_version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deactivated_at timestamp with time zone,
    changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT person_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'supervisor'::text, 'agent'::text, 'bot'::text, 'contact'::text]))),
    CONSTRAINT person_wanted_role_check CHECK ((wanted_role = ANY (ARRAY['owner'::text, 'admin'::text, 'supervisor'::text, 'agent'::text])))
);

CREATE TABLE public.reaction (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq integer NOT NULL,
    person_id uuid NOT NULL,
    emoji text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.receipt (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    person_id uuid NOT NULL,
    delivered_seq integer DEFAULT 0 NOT NULL,
    read_seq integer DEFAULT 0 NOT NULL,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    all_read_at timestamp with time zone,
    changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    changed_span bigint DEFAULT public.span_of(pg_current_xact_id()) NOT NULL,
    CONSTRAINT receipt_check CHECK ((read_seq <= delivered_seq))
)
WITH (fillfactor='50');

CREATE TABLE public.receipt_range (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    person_id uuid NOT NULL,
    kind text NOT NULL,
    from_seq integer NOT NULL,
    to_seq integer NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT receipt_range_check CHECK ((from_seq < to_seq)),
    CONSTRAINT receipt_range_kind_check CHECK ((kind = ANY (ARRAY['delivered'::text, 'read'::text])))
);

CREATE TABLE public.refresh_token (
    workspace_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE public.server_meta (
    key text NOT NULL,
    value text NOT NULL
);

CREATE TABLE public.session (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    person_id uuid NOT NULL,
    kind text NOT NULL,
    inbox_id uuid,
    visitor_hash bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT session_kind_check CHECK ((kind = ANY (ARRAY['password'::text, 'visitor'::text])))
);

CREATE TABLE public.workspace (
    id uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    registration text DEFAULT 'customer_only'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT workspace_registration_check CHECK ((registration = ANY (ARRAY['customer_only'::text, 'invite'::text, 'pending'::text, 'closed'::text, 'open_demo'::text])))
);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.alias_counter
    ADD CONSTRAINT alias_counter_pkey PRIMARY KEY (workspace_id, scheme, kind);

ALTER TABLE ONLY public.alias
    ADD CONSTRAINT alias_pkey PRIMARY KEY (workspace_id, scheme, kind, id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.attachment
    ADD CONSTRAINT attachment_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.audit_entry
    ADD CONSTRAINT audit_entry_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (workspace_id, conversation_id, seq);

ALTER TABLE ONLY public.identity_key
    ADD CONSTRAINT identity_key_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.inbox_member
    ADD CONSTRAINT inbox_member_pkey PRIMARY KEY (workspace_id, inbox_id, person_id);

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_widget_key_key UNIQUE (widget_key);

ALTER TABLE ONLY public.invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.invitation
    ADD CONSTRAINT invitation_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (workspace_id, conversation_id, seq);

ALTER TABLE ONLY public.message_revision
    ADD CONSTRAINT message_revision_pkey PRIMARY KEY (workspace_id, conversation_id, seq, revision);

ALTER TABLE ONLY public.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.mount
    ADD CONSTRAINT mount_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.participant
    ADD CONSTRAINT participant_pkey PRIMARY KEY (workspace_id, conversation_id, person_id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.reaction
    ADD CONSTRAINT reaction_pkey PRIMARY KEY (workspace_id, conversation_id, seq, person_id, emoji);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_pkey PRIMARY KEY (workspace_id, conversation_id, person_id);

ALTER TABLE ONLY public.receipt_range
    ADD CONSTRAINT receipt_range_pkey PRIMARY KEY (workspace_id, conversation_id, person_id, kind, to_seq, from_seq);

ALTER TABLE ONLY public.refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (workspace_id, token_hash);

ALTER TABLE ONLY public.server_meta
    ADD CONSTRAINT server_meta_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.workspace
    ADD CONSTRAINT workspace_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace
    ADD CONSTRAINT workspace_slug_key UNIQUE (slug);

CREATE INDEX access_grant_changed ON public.access_grant USING btree (workspace_id, changed_xid);

CREATE INDEX access_grant_other ON public.access_grant USING btree (workspace_id, person_b);

CREATE INDEX access_grant_pair ON public.access_grant USING btree (workspace_id, person_a, person_b);

CREATE UNIQUE INDEX access_grant_ref ON public.access_grant USING btree (workspace_id, external_ref) WHERE (external_ref IS NOT NULL);

CREATE UNIQUE INDEX alias_name ON public.alias USING btree (workspace_id, scheme, kind, name);

CREATE INDEX attachment_message ON public.attachment USING btree (workspace_id, message_id) WHERE (message_id IS NOT NULL);

CREATE INDEX attachment_unsent ON public.attachment USING btree (created_at) WHERE (message_id IS NULL);

CREATE INDEX attachment_unsent_of ON public.attachment USING btree (workspace_id, uploader_id) WHERE (message_id IS NULL);

CREATE INDEX conversation_assignee ON public.conversation USING btree (workspace_id, assignee_id) WHERE ((assignee_id IS NOT NULL) AND (deleted_at IS NULL));

CREATE INDEX conversation_changed ON public.conversation USING btree (workspace_id, changed_span);

CREATE UNIQUE INDEX conversation_client_key ON public.conversation USING btree (workspace_id, created_by, client_key) WHERE (client_key IS NOT NULL);

CREATE UNIQUE INDEX conversation_exclusive ON public.conversation USING btree (workspace_id, exclusive_key) WHERE ((exclusive_key IS NOT NULL) AND (deleted_at IS NULL) AND ((status)::text <> ALL (ARRAY['closed'::text, 'archived'::text])));

CREATE INDEX conversation_inbox ON public.conversation USING btree (workspace_id, inbox_id) WHERE (deleted_at IS NULL);

CREATE INDEX conversation_newest ON public.conversation USING btree (workspace_id, updated_span DESC) WHERE (deleted_at IS NULL);

CREATE INDEX inbox_member_person ON public.inbox_member USING btree (workspace_id, person_id);

CREATE UNIQUE INDEX message_id ON public.message USING btree (workspace_id, id);

CREATE INDEX message_retracted ON public.message USING btree (workspace_id, conversation_id, seq) WHERE (retracted_at IS NOT NULL);

CREATE UNIQUE INDEX message_send_key ON public.message USING btree (workspace_id, send_key);

CREATE INDEX message_sender ON public.message USING btree (workspace_id, conversation_id, sender_id, seq);

CREATE UNIQUE INDEX mount_host ON public.mount USING btree (host) WHERE (host IS NOT NULL);

CREATE UNIQUE INDEX mount_port ON public.mount USING btree (port) WHERE (port IS NOT NULL);

CREATE INDEX participant_changed ON public.participant USING btree (workspace_id, changed_xid);

CREATE INDEX participant_person ON public.participant USING btree (workspace_id, person_id) WHERE (left_at IS NULL);

CREATE INDEX person_changed ON public.person USING btree (workspace_id, changed_xid);

CREATE INDEX person_contact_name ON public.person USING btree (workspace_id, name, id) WHERE (role = 'contact'::text);

CREATE UNIQUE INDEX person_email ON public.person USING btree (workspace_id, lower(email)) WHERE ((email IS NOT NULL) AND (password_hash IS NOT NULL));

CREATE UNIQUE INDEX person_external ON public.person USING btree (workspace_id, external_id) WHERE (external_id IS NOT NULL);

CREATE INDEX person_team ON public.person USING btree (workspace_id, role) WHERE (role <> 'contact'::text);

CREATE UNIQUE INDEX person_username ON public.person USING btree (workspace_id, username) WHERE (username IS NOT NULL);

CREATE INDEX receipt_changed ON public.receipt USING btree (workspace_id, changed_span);

CREATE INDEX refresh_token_session ON public.refresh_token USING btree (workspace_id, session_id);

CREATE INDEX session_changed ON public.session USING btree (workspace_id, changed_xid);

CREATE INDEX session_expiry ON public.session USING btree (expires_at);

CREATE INDEX session_person ON public.session USING btree (workspace_id, person_id);

CREATE UNIQUE INDEX session_visitor ON public.session USING btree (workspace_id, visitor_hash) WHERE (visitor_hash IS NOT NULL);

CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE ON public.audit_entry FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.alias_counter
    ADD CONSTRAINT alias_counter_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.alias
    ADD CONSTRAINT alias_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_workspace_id_person_id_fkey FOREIGN KEY (workspace_id, person_id) REFERENCES public.person(workspace_id, id);

ALTER TABLE ONLY public.attachment
    ADD CONSTRAINT attachment_workspace_id_conversation_id_fkey FOREIGN KEY (workspace_id, conversation_id) REFERENCES public.conversation(workspace_id, id);

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_workspace_id_inbox_id_fkey FOREIGN KEY (workspace_id, inbox_id) REFERENCES public.inbox(workspace_id, id);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_workspace_id_conversation_id_fkey FOREIGN KEY (workspace_id, conversation_id) REFERENCES public.conversation(workspace_id, id);

ALTER TABLE ONLY public.identity_key
    ADD CONSTRAINT identity_key_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.inbox_member
    ADD CONSTRAINT inbox_member_workspace_id_inbox_id_fkey FOREIGN KEY (workspace_id, inbox_id) REFERENCES public.inbox(workspace_id, id);

ALTER TABLE ONLY public.inbox_member
    ADD CONSTRAINT inbox_member_workspace_id_person_id_fkey FOREIGN KEY (workspace_id, person_id) REFERENCES public.person(workspace_id, id);

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.invitation
    ADD CONSTRAINT invitation_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.mount
    ADD CONSTRAINT mount_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.participant
    ADD CONSTRAINT participant_workspace_id_conversation_id_fkey FOREIGN KEY (workspace_id, conversation_id) REFERENCES public.conversation(workspace_id, id);

ALTER TABLE ONLY public.participant
    ADD CONSTRAINT participant_workspace_id_person_id_fkey FOREIGN KEY (workspace_id, person_id) REFERENCES public.person(workspace_id, id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_workspace_id_conversation_id_fkey FOREIGN KEY (workspace_id, conversation_id) REFERENCES public.conversation(workspace_id, id);

ALTER TABLE ONLY public.refresh_token
    ADD CONSTRAINT refresh_token_workspace_id_session_id_fkey FOREIGN KEY (workspace_id, session_id) REFERENCES public.session(workspace_id, id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_workspace_id_person_id_fkey FOREIGN KEY (workspace_id, person_id) REFERENCES public.person(workspace_id, id);
