import { session } from '../account.ts'
import { Field, WelcomeForm } from './welcome-form.tsx'

export function SignIn() {
  return (
    <WelcomeForm
      title="Sign in to the desk"
      action="Sign in"
      submit={async (field) => {
        await session.login({ email: field('email').trim(), password: field('password') })
      }}
    >
      <Field label="E-mail" name="email" type="email" autoComplete="username" autoFocus />
      <Field label="Password" name="password" type="password" autoComplete="current-password" minLength={1} />
    </WelcomeForm>
  )
}
