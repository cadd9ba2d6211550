import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands before a server and passes everything on, until it is told to swallow or to keep it. */
export class TcpProxy implements AsyncDisposable {
  readonly #server = createServer((client) => this.#accept(client))
  readonly #target: { host: string; port: number }
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>()
  #mode: 'pass' | 'blackhole' | 'hold' = 'pass'
  #held: (() => void)[] = []
  /** How many bytes were swallowed: the evidence that the fault was there. */
  swallowed = 0

  constructor(target: { host: string; port: number }) {
    this.#target = target
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** From now on bytes go in and nothing comes out, on old connections and on new ones; nobody is told. */
  blackhole(): void {
    this.#mode = 'blackhole'
  }

  /** Passes again. What was swallowed is lost, so connections of that time are broken off. */
  heal(): void {
    this.#mode = 'pass'
    this.cut()
  }

  /** From now on bytes wait here. */
  hold(): void {
    this.#mode = 'hold'
  }

  /** What waited arrives after all, and everything else again. */
  letGo(): void {
    this.#mode = 'pass'
    for (const passOn of this.#held.splice(0)) passOn()
  }

  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy()
      upstream.destroy()
    }
  }

  #accept(client: Socket): void {
    const upstream = connect(this.#target)
    const pair = { client, upstream }
    this.#pairs.add(pair)
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (data) => {
        if (this.#mode === 'pass') to.write(data)
        else if (this.#mode === 'hold') this.#held.push(() => to.write(data))
        else this.swallowed += data.length
      })
      from.on('error', () => {})
      from.on('close', () => {
        this.#pairs.delete(pair)
        if (this.#mode === 'pass') to.destroy()
      })
    }
    pass(client, upstream)
    pass(upstream, client)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
  }
}
