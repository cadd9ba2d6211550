import { useState } from 'react'
import { hasFirstOwner } from './first-owner.ts'
import { FirstRun } from './first-run.tsx'
import { InvitationForm } from './invitation-form.tsx'
import { SignIn } from './sign-in.tsx'
import type { WelcomeLink } from './welcome-link.ts'
import { WelcomeNote } from './welcome-note.tsx'
import './welcome.css'

/** The way in. `done`: the link has been used or given up. */
export function Welcome({ link, done }: { link: WelcomeLink | null; done(): void }) {
  const [signsIn, setSignsIn] = useState(false)
  const owner = hasFirstOwner()
  return (
    <main className="welcome">
      <div className="welcome-card">
        <p className="wordmark">
          <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="28" height="28" />
          Parley
        </p>
        {link?.kind === 'setup' && owner ? (
          <WelcomeNote title="This link has been used" way={{ label: 'Sign in', run: done }}>
            <p className="lead">
              The server has its owner already. Whoever else works here needs an invitation.
            </p>
          </WelcomeNote>
        ) : null}
        {link?.kind === 'setup' && !owner ? <FirstRun token={link.token} done={done} /> : null}
        {link?.kind === 'invite' ? <InvitationForm token={link.token} done={done} /> : null}
        {!link && owner === false && !signsIn ? (
          <WelcomeNote
            title="This desk has no owner yet"
            way={{ label: 'Sign in anyway', run: () => setSignsIn(true) }}
          >
            <p className="lead">
              Open the link that the server printed when it was started. It makes you the owner.
            </p>
          </WelcomeNote>
        ) : null}
        {!link && (owner !== false || signsIn) ? <SignIn /> : null}
      </div>
    </main>
  )
}
