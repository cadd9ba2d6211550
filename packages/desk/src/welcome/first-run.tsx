import { session } from '../account.ts'
import { firstOwnerMade } from './first-owner.ts'
import { Field, WelcomeForm } from './welcome-form.tsx'

/** The form behind the one-time link of the first start. */
export function FirstRun({ token, done }: { token: string; done(): void }) {
  return (
    <WelcomeForm
      title="Welcome. Let’s set up your desk"
      lead="You are the first here, so you will be the owner. One inbox is ready; you can be live in a minute."
      action="Create workspace"
      cancel={{ label: 'Sign in instead', run: done }}
      submit={async (field) => {
        await session.claim({
          setupToken: token,
          workspaceName: field('workspaceName').trim(),
          name: field('name').trim(),
          email: field('email').trim(),
          password: field('password'),
        })
        firstOwnerMade()
        done()
      }}
    >
      <Field
        label="Workspace"
        name="workspaceName"
        hint="Your team or company"
        autoComplete="organization"
        autoFocus
      />
      <Field label="Your name" name="name" hint="Visitors see it beside your answers" autoComplete="name" />
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
