import { WebSocket } from 'ws'

/** Hears the payload of a frame: it lies in `bytes` from `start` to `end`. */
export type OnFrame = (bytes: Buffer, start: number, end: number) => void

/**
 * A client as programs have it: the `ws` package, and every frame parsed as JSON. The baseline's clients are the same, so
 * both pay for being listened to. Reading raw bytes instead makes the bare relay nearly twice as fast, and measures a
 * client that nobody has.
 */
export class ClientSocket {
  readonly #socket: WebSocket
  #onFrame: OnFrame = () => {}
  #failure: Error | undefined

  /** `from` is the local address, for more connections than one address has ports. */
  static async open(at: {
    host: string
    port: number
    path: string
    from?: string
    parse?: (text: string) => unknown
  }): Promise<ClientSocket> {
    const socket = new WebSocket(`ws://${at.host}:${at.port}${at.path}`, {
      perMessageDeflate: false,
      ...(at.from && { localAddress: at.from }),
    })
    const client = new ClientSocket(socket, at.parse ?? JSON.parse)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    return client
  }

  private constructor(socket: WebSocket, parse: (text: string) => unknown) {
    this.#socket = socket
    socket.on('message', (data: Buffer) => {
      parse(data.toString())
      this.#onFrame(data, 0, data.length)
    })
    socket.on('error', (error) => {
      this.#failure ??= error
    })
    socket.on('close', (code, reason) => {
      this.#failure ??= new Error(`The other side has gone: ${code} ${reason}`)
    })
  }

  set onFrame(listener: OnFrame) {
    this.#onFrame = listener
  }

  /** Why nothing will come any more. */
  get failure(): Error | undefined {
    return this.#failure
  }

  write(text: string): void {
    this.#socket.send(text)
  }

  close(): void {
    this.#failure ??= new Error('Closed')
    this.#socket.terminate()
  }
}
