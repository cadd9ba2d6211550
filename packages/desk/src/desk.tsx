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
  return (
    <AtDesk key={account.user.id} user={account.user} workspace={account.workspace}>
      <RouterProvider router={router} />
    </AtDesk>
  )
}
