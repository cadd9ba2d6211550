import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Role } from '@parley/protocol'
import {
  type Answer,
  callOver,
  makePlace,
  Person,
  type Place,
  type RestOptions,
  rest as restOver,
} from '../src/testing.ts'
import type { Host } from './world.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** Of everybody who signs in here, the owner among them. */
export const password = 'correct horse battery'

export type Child = Host &
  AsyncDisposable & {
    process: ChildProcess
    place: Place
    /** What it has written to its log, line by line. */
    log: string[]
    owner: Person
    exited: Promise<number | null>
    stop(): Promise<number | null>
  }

/** A whole server in a process of its own, whose first owner has been made through the printed link. */
export async function startChild({
  env = {},
  place,
}: {
  env?: Record<string, string>
  place?: Place
} = {}): Promise<Child> {
  const here = place ?? (await makePlace())
  const child = spawn(process.execPath, ['--conditions=source', main], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...here.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line))
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  const { url, setupToken } = await announced(child, exited, log)
  const rest = (method: string, path: string, options?: RestOptions) => restOver(url, method, path, options)
  const claimed = setupToken
    ? await callOver(url, null, 'setup.claim', {
        setupToken,
        workspaceName: 'First',
        name: 'Olga',
        email: 'olga@example.com',
        password,
      })
    : await callOver(url, null, 'auth.login', { email: 'olga@example.com', password })
  const owner = personOf(url, claimed)
  const { inboxes } = await owner.call('inbox.list', {})
  const [inbox] = inboxes
  if (!inbox) throw new Error('The first workspace has no inbox')

  let count = 0
  const person = async (role: Role, name: string = role) => {
    if (role === 'owner') return owner
    const { token } = await owner.call('invitation.create', {
      role: role as 'agent',
      ...(role !== 'contact' && { inboxIds: [inbox.id] }),
    })
    const email = `${role}${++count}-${process.hrtime.bigint()}@example.com`
    return personOf(
      url,
      await callOver(url, null, 'auth.register', { name, email, password, invitation: token }),
    )
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
    const code = await exited
    clearTimeout(late)
    return code
  }
  return {
    ...{ url, rest, person, owner, log, exited, stop, place: here, process: child, inboxId: inbox.id },
    [Symbol.asyncDispose]: async () => {
      await stop()
      if (!place) await here.remove()
    },
  }
}

function personOf(url: string, answer: Answer): Person {
  if (answer.status >= 300) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`)
  const { user, tokens } = answer.body
  return new Person(url, user.id, user.name, tokens.accessToken)
}

async function announced(child: ChildProcess, exited: Promise<unknown>, log: string[]) {
  if (!child.stdout) throw new Error('The child has no standard output')
  let url: string | undefined
  let setupToken: string | undefined
  const lines = createInterface({ input: child.stdout })
  const said = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      url = /^Parley is at (\S+)/.exec(line)?.[1] ?? url
      setupToken = /#setup=(\S+)/.exec(line)?.[1] ?? setupToken
      // The link, where there is one, is written in the same turn.
      if (url) setTimeout(resolve, 50)
    })
  })
  await Promise.race([
    said,
    exited.then(() => Promise.reject(new Error(`The server did not start:\n${log.join('\n')}`))),
  ])
  if (!url) throw new Error('The server did not say where it is')
  return { url, setupToken }
}
