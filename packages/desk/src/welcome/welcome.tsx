import { FirstRun } from './first-run.tsx'
import { InvitationForm } from './invitation-form.tsx'
import { SignIn } from './sign-in.tsx'
import type { WelcomeLink } from './welcome-link.ts'
import './welcome.css'

/** The way in. `done`: the link has been used or given up. */
export function Welcome({ link, done }: { link: WelcomeLink | null; done(): void }) {
  return (
    <main className="welcome">
      <div className="welcome-card">
        <p className="wordmark">
          <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="28" height="28" />
          Parley
        </p>
        {link?.kind === 'setup' ? <FirstRun token={link.token} done={done} /> : null}
        {link?.kind === 'invite' ? <InvitationForm token={link.token} done={done} /> : null}
        {link ? null : <SignIn />}
      </div>
    </main>
  )
}
