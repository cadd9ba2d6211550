import { startServer } from './app.ts'
import { readConfig } from './config.ts'
import { makeLog } from './log.ts'

/** Listens for as long as we live: a second signal must not end a stop that is under way. */
const asked = new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => resolve())
})

try {
  const config = readConfig(process.env, process.argv.slice(2))
  const log = makeLog(config.logLevel)
  await using server = await startServer(config, log)
  console.log(`Parley is at ${config.publicUrl ?? server.url}`)
  if (server.setupUrl) console.log(`Make the first owner (this link works once): ${server.setupUrl}`)
  if (server.demo)
    console.log(
      `Example workspace: sign in at /desk as ${server.demo.email} with ${server.demo.password}\n` +
        `Tokens of another service: {"userId": …, "role": "USER" or "ADMIN"}, HS256, signed with ${server.demo.identitySecret}`,
    )
  for (const mount of server.mounts) console.log(`${mount.dialect} is at ${mount.url}`)
  await asked
  log.info('stopping')
} catch (error) {
  console.error(`Parley cannot start: ${reasonOf(error)}`)
  process.exitCode = 1
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!('code' in error && error.code === 'EADDRINUSE' && 'port' in error)) return error.message
  return `port ${error.port} is taken; stop what listens there, or set PORT (or the port of the mount) to another one`
}
