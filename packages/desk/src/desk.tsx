import { RouterProvider } from '@tanstack/react-router'
import { useState } from 'react'
import { session } from './account.ts'
import { AtDesk, useStore } from './at-desk.tsx'
import { router } from './routes.tsx'
import { Welcome } from './welcome/welcome.tsx'
import { keepWelcomeLink, readWelcomeLink, type WelcomeLink } from './welcome/welcome-link.ts'

/** The whole page: the way in for strangers and for links that make somebody a member, else the desk. */
export function Desk() {
  const account = useStore(session.state)
  const [link, setLink] = useState<WelcomeLink | null>(readWelcomeLink)
  const done = () => {
    keepWelcomeLink(null)
    setLink(null)
  }
  if (link || account.state === 'signed-out') return <Welcome link={link} done={done} />
  if (account.user.role === 'contact') return <NotTheTeam name={account.user.name} />
  return (
    <AtDesk key={account.user.id} user={account.user} workspace={account.workspace}>
      <RouterProvider router={router} />
    </AtDesk>
  )
}

/** Contacts may have an account too; the desk has nothing for them. */
function NotTheTeam({ name }: { name: string }) {
  return (
    <main className="not-the-team">
      <h1>This desk is for the team</h1>
      <p>{name}, your account is not part of it. Ask an admin for an invitation.</p>
      <button type="button" className="button" onClick={() => void session.logout()}>
        Sign out
      </button>
    </main>
  )
}
