import type { ConversationView } from '@parley/client'
import type { Conversation, User } from '@parley/protocol'
import { Link } from '@tanstack/react-router'
import { useDesk, useStore } from '../at-desk.tsx'
import { Avatar, presenceName } from '../avatar.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import { faceOf } from '../list/face.ts'
import { useNow } from '../ticking.ts'
import { age, date, moment } from '../time.ts'
import { MetadataList } from './metadata-list.tsx'
import './details.css'

/** What is known of the person on the other side, and of the conversation. */
export function DetailsPane({ shown, view }: { shown: ConversationView; view: string }) {
  const { user } = useDesk()
  const { conversation, participants } = shown
  const face = conversation ? faceOf({ conversation, participants }, user.id) : null
  return (
    <aside className="pane details-pane" aria-label="Details">
      <header className="pane-bar only-narrow">
        <Link
          className="button icon-only"
          to="/$view/$conversationId"
          params={{ view, conversationId: shown.id }}
          aria-label="Back to the messages"
          title="Back (Esc)"
        >
          <Icon name="back" />
        </Link>
        <h2>Details</h2>
      </header>
      {face?.userId ? <Person key={face.userId} userId={face.userId} name={face.name} /> : null}
      {conversation ? <About conversation={conversation} /> : null}
      {conversation ? <InHere shown={shown} /> : null}
    </aside>
  )
}

function Person({ userId, name }: { userId: string; name: string }) {
  const { parley, directory } = useDesk()
  const now = useNow()
  const presence = useStore(parley.presence).get(userId)
  const fetched = useStore(directory.person(userId))
  const person = fetched.phase === 'ready' ? fetched.value : null
  const away = presence?.state === 'offline' && presence.lastSeenAt
  return (
    <section className="person" aria-label="Contact">
      <Avatar id={userId} name={person?.name ?? name} size="large" presence={presence?.state} />
      <h2>{person?.name ?? name}</h2>
      <p className="hint">
        {presence ? presenceName(presence.state) : 'Presence unknown'}
        {away ? `, last seen ${age(away, now) === 'now' ? 'just now' : `${age(away, now)} ago`}` : ''}
      </p>
      {person ? <Identity person={person} /> : null}
      {person ? (
        <dl className="facts">
          <Fact name="E-mail">
            {person.email ? (
              <a href={`mailto:${encodeURIComponent(person.email)}`}>{person.email}</a>
            ) : (
              'Not given'
            )}
          </Fact>
          {person.externalId ? <Fact name="Your id">{person.externalId}</Fact> : null}
          <Fact name="Known since">
            <time dateTime={person.createdAt} title={moment(person.createdAt)}>
              {date(person.createdAt)}
            </time>
          </Fact>
        </dl>
      ) : null}
      {person ? <MetadataList title="Attributes" metadata={person.metadata} /> : null}
      {fetched.phase === 'failed' ? <p className="hint">More could not be loaded.</p> : null}
    </section>
  )
}

function Identity({ person }: { person: User }) {
  return person.verified ? (
    <p className="identity" data-verified="" title="Proven by a signed token or a password">
      <Icon name="verified" /> Verified identity
    </p>
  ) : (
    <p className="identity" title="Nobody has proven that this is who they say">
      <Icon name="alert" />{' '}
      {person.email || person.externalId ? 'Claimed, not verified' : 'Anonymous visitor'}
    </p>
  )
}

function About({ conversation }: { conversation: Conversation }) {
  const { directory } = useDesk()
  const inboxes = known(useStore(directory.inboxes))
  const inbox = inboxes.find((one) => one.id === conversation.inboxId)
  const { status, topic, subject, priority, createdAt, metadata } = conversation
  return (
    <section aria-label="Conversation">
      <h3>Conversation</h3>
      <dl className="facts">
        {inbox ? <Fact name="Inbox">{inbox.name}</Fact> : null}
        <Fact name="Status">{status.slice(0, 1).toUpperCase() + status.slice(1)}</Fact>
        {topic ? <Fact name="Topic">{topic}</Fact> : null}
        {subject ? <Fact name="Subject">{subject}</Fact> : null}
        {priority > 0 ? <Fact name="Priority">{priority}</Fact> : null}
        <Fact name="Started">
          <time dateTime={createdAt} title={moment(createdAt)}>
            {date(createdAt)}
          </time>
        </Fact>
      </dl>
      <MetadataList title="Data" metadata={metadata} />
    </section>
  )
}

function InHere({ shown }: { shown: ConversationView }) {
  const { user } = useDesk()
  const present = shown.participants.filter((one) => one.leftAt === null)
  if (present.length === 0) return null
  return (
    <section aria-label="Participants">
      <h3>In this conversation</h3>
      <ul className="in-here">
        {present.map((one) => (
          <li key={one.userId}>
            <Avatar id={one.userId} name={one.name} size="small" />
            <span>{one.userId === user.id ? `${one.name} (you)` : one.name}</span>
            <span className="hint">{one.role}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
