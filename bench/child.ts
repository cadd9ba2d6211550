import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { eachOnACore, onAllCores } from './cores.ts'
import type { Place } from './place.ts'

const startsWithinMs = 60_000

/** The server or the relay, in a process of its own, as an operator would run it but for the memory probe. */
export class Child implements AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly #process: ChildProcess

  /** The real server with the real entry point. */
  static server(place: Place, env: Record<string, string> = {}): Promise<Child> {
    return Child.start('../packages/server/src/main.ts', { ...place.env, ...env })
  }

  static relay(): Promise<Child> {
    return Child.start('./relay.ts', {})
  }

  /** The relay that keeps messages, in a place that nobody else uses. */
  static sketch({ env }: Place): Promise<Child> {
    return Child.start('./relay.ts', env)
  }

  /** Relay and server, started side by side. */
  static async both(
    place: Place,
    env: Record<string, string>,
  ): Promise<AsyncDisposable & { relay: Child; server: Child }> {
    const [relay, server] = await Promise.all([Child.relay(), Child.server(place, env)])
    return {
      relay,
      server,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([relay[Symbol.asyncDispose](), server[Symbol.asyncDispose]()])
      },
    }
  }

  private static async start(program: string, env: Record<string, string>): Promise<Child> {
    const file = (path: string) => new URL(path, import.meta.url).pathname
    const flags = ['--conditions=source', '--expose-gc', '--import', file('./memory-probe.ts')]
    onAllCores()
    const child = spawn(process.execPath, [...flags, ...extraFlags(), file(program)], {
      env: {
        PATH: process.env.PATH,
        NODE_ENV: process.env.NODE_ENV,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const { hostname, port } = await addressOf(child)
    if (child.pid !== undefined) eachOnACore(child.pid)
    return new Child(child, hostname, Number(port))
  }

  private constructor(process: ChildProcess, host: string, port: number) {
    this.#process = process
    this.host = host
    this.port = port
  }

  /** Resident memory in bytes, after everything that can be collected was. */
  async memory(): Promise<number> {
    const answer = once(this.#process, 'message')
    this.#process.send('memory')
    const [bytes] = await answer
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await exit
  }
}

/** For looking into the server: BENCH_NODE_FLAGS='--cpu-prof --cpu-prof-dir=/tmp/profile'. */
const extraFlags = () => process.env.BENCH_NODE_FLAGS?.split(' ').filter(Boolean) ?? []

/** Both say where they listen on their first line. */
async function addressOf(child: ChildProcess): Promise<URL> {
  const said = new Promise<URL>((resolve, reject) => {
    let output = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const [, url] = / is at (http:\S+)/.exec(output) ?? []
      if (url) resolve(new URL(url))
    })
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`${child.spawnargs.at(-1)} ended with ${code}: ${output}`)))
  })
  const deadline = setTimeout(() => child.kill('SIGKILL'), startsWithinMs)
  return said.finally(() => clearTimeout(deadline))
}
