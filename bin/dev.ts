import { type ChildProcess, spawn } from 'node:child_process'
import { browserParts, buildBrowserParts } from './build.ts'

buildBrowserParts()
const server = run(
  '.',
  '--watch',
  '--conditions=source',
  'packages/server/src/main.ts',
  ...process.argv.slice(2),
)
const builds = browserParts.map((part) => run(part, '--run', 'build', '--', '--watch'))
const children = [server, ...builds]

let stopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
for (const child of children) {
  child.on('exit', (code) => {
    if (!stopping) process.exitCode = code ?? 1
    stop()
  })
}

/** In a process group of its own, so that what it starts can be stopped with it. */
function run(folder: string, ...args: string[]): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  })
}

/** When one of the three ends, or we are told to, all of them end. The server drains before it exits. */
function stop(): void {
  if (stopping) return
  stopping = true
  for (const { pid, exitCode } of children) if (pid && exitCode === null) process.kill(-pid, 'SIGTERM')
}
