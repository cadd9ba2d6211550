import { session } from '../account.ts'
import { useStore } from '../at-desk.tsx'
import { Field, WelcomeForm } from './welcome-form.tsx'

/** The form behind an invitation. The role and the inboxes stand in the invitation, on the server. */
export function InvitationForm({ token, done }: { token: string; done(): void }) {
  const account = useStore(session.state)
  const present = account.state === 'signed-in' ? account.user.name : null
  return (
    <WelcomeForm
      title="Join the team"
      lead={
        present
          ? `You are signed in here as ${present}. A new account takes its place in this browser.`
          : 'You have been invited to answer conversations here.'
      }
      action="Join"
      cancel={{ label: present ? `Stay ${present}` : 'Sign in instead', run: done }}
      submit={async (field) => {
        await session.register({
          invitation: token,
          name: field('name').trim(),
          email: field('email').trim(),
          password: field('password'),
        })
        done()
      }}
    >
      <Field
        label="Your name"
        name="name"
        hint="Visitors see it beside your answers"
        autoComplete="name"
        autoFocus
      />
      <Field label="E-mail" name="email" type="email" autoComplete="username" />
      <Field
        label="Password"
        name="password"
        type="password"
        hint="At least 8 characters"
        autoComplete="new-password"
        minLength={8}
      />
    </WelcomeForm>
  )
}
