import { startServer } from '/work/main/packages/server/src/testing.ts'
import { Client } from '/work/main/packages/server/test/dialects/livesupport-client.ts'
import { randomUUIDv7, randomUUID } from 'node:crypto'
const server = await startServer({ args: ['--demo'] })
const nobody = new Client(`${server.url}/livesupport`)
const db = server.running.parley.chat.db
const sam = await nobody.person('supervisor')
const alex = await nobody.person('agent', { supervisorId: sam.id })
const ada = await nobody.person('admin')
const me = await db.selectFrom('person').selectAll().where('email','=',sam.email).executeTakeFirstOrThrow()
const al = await db.selectFrom('person').selectAll().where('email','=',alex.email).executeTakeFirstOrThrow()
const inbox = await db.selectFrom('inbox_member').selectAll().where('person_id','=',me.id).where('role','=','supervisor').executeTakeFirstOrThrow()
const { sql } = await import('/work/main/node_modules/kysely/dist/esm/index.js').catch(() => import('kysely'))
const ids: string[] = []
for (let i=0;i<200;i++) {
  const p = randomUUIDv7(), c = randomUUIDv7(); ids.push(c)
  await db.insertInto('person').values({workspace_id: me.workspace_id, id: p, role:'contact', name:`c${i}`, verified:true}).execute()
  await db.insertInto('conversation').values({workspace_id: me.workspace_id, id:c, kind:'support', inbox_id: inbox.inbox_id, status:'assigned', assignee_id: al.id, created_by:p, last_seq: 1000, message_count: 1000} as any).execute()
  await db.insertInto('participant').values([{workspace_id: me.workspace_id, conversation_id:c, person_id:p, role:'contact'},{workspace_id: me.workspace_id, conversation_id:c, person_id:al.id, role:'agent'}]).execute()
  await sql`insert into message (workspace_id, conversation_id, seq, id, sender_id, sender_role, kind, body, visibility, client_message_id, send_key, content_hash, ordinal, note_ordinal, attachment_count) select ${me.workspace_id}, ${c}, g, gen_random_uuid(), ${p}, 'contact', 'text', 'hello', 'everyone', g::text, gen_random_uuid(), gen_random_uuid(), g, 0, 0 from generate_series(1,1000) g`.execute(db)
}
const time = async (label: string, f: () => Promise<unknown>) => { for (let i=0;i<5;i++) await f(); const t:number[]=[]; for (let i=0;i<40;i++){const s=performance.now(); await f(); t.push(performance.now()-s)}; t.sort((a,b)=>a-b); console.log(label, 'median', t[20]!.toFixed(1), 'p95', t[37]!.toFixed(1)) }
const n = await sam.get('/conversations'); console.log(n.body.data.length)
await time('list supervisor', () => sam.get('/conversations'))
await time('list admin', () => ada.get('/conversations'))
await time('list agent', () => alex.get('/conversations'))
await time('analytics', () => ada.get('/admin/analytics'))
const one = n.body.data[0]._id
await time('get 1000 messages', () => ada.get('/conversations/'+one))

const { listCases } = await import('/work/main/packages/server/src/chat/cases.ts')
const actor = (r: any, role: any) => ({ workspaceId: r.workspace_id, userId: r.id, name:'', role, sessionId:null, inboxIds:[], visitorInboxId:null, verified:true, address:null })
await time('listCases sup', () => listCases(server.running.parley.chat, actor(me,'supervisor'), {limit:200}))
await time('listCases adm', () => listCases(server.running.parley.chat, actor(me,'admin'), {limit:200}))
await time('me', () => ada.get('/auth/me'))
await time('select 1', () => sql`select 1`.execute(db))
for (const q of [sql`explain (analyze, buffers off) with page as materialized (
      select c.* from conversation c where c.workspace_id = ${me.workspace_id} and c.deleted_at is null order by c.id desc limit 200
    )
    select c.id, c.kind, c.status, c.assignee_id as "assigneeId", c.last_seq as "lastSeq",
      array(select m.person_id::text from inbox_member m where m.workspace_id = c.workspace_id
        and m.inbox_id = c.inbox_id and m.role = 'supervisor' order by m.added_at, m.person_id) as "supervisorIds",
      coalesce(q.contacts, '{}') as "contactIds", coalesce(q.agents, '{}') as "agentIds"
    from page c
    left join lateral (
      select array_agg(p.person_id::text order by p.joined_at, p.person_id) filter (where p.role = 'contact') as contacts,
        array_agg(p.person_id::text order by p.joined_at, p.person_id) filter (where p.role = 'agent') as agents
      from participant p where p.workspace_id = c.workspace_id and p.conversation_id = c.id and p.left_at is null
    ) q on true
    order by c.id desc`]) console.log((await q.execute(db)).rows.map((r:any)=>Object.values(r)[0]).join('\n'))
await server[Symbol.asyncDispose](); process.exit(0)
