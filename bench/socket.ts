import { connect, type Socket } from 'node:net'

const mask = Buffer.from([0x5a, 0xc3, 0x17, 0x88])
/** One for all sockets: what is read is looked at before the next read. */
const arriving = Buffer.allocUnsafe(256 * 1024)

/** A text frame as a client sends it: masked, like every browser's. */
export function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const head = length < 126 ? 2 : 4
  const frame = Buffer.allocUnsafe(head + 4 + length)
  frame[0] = 0x81
  frame[1] = 0x80 | (length < 126 ? length : 126)
  if (head === 4) frame.writeUInt16BE(length, 2)
  mask.copy(frame, head)
  frame.write(text, head + 4)
  for (let i = 0, at = head + 4; i < length; i++, at++) frame[at] = (frame[at] ?? 0) ^ (mask[i & 3] ?? 0)
  return frame
}

/** Hears the payload of a frame: it lies in `bytes` from `start` to `end`, and only until the call returns. */
export type OnFrame = (bytes: Buffer, start: number, end: number) => void

/**
 * As little of a WebSocket client as a load maker needs: with a whole one, the load maker would be what is measured.
 * Beyond framing nothing is decoded; whoever listens looks at the bytes.
 */
export class LeanSocket {
  readonly #socket: Socket
  #onFrame: OnFrame = () => {}
  #rest: Buffer | undefined
  #failure: Error | undefined

  /** `from` is the local address, for more connections than one address has ports. */
  static open(at: { host: string; port: number; path: string; from?: string }): Promise<LeanSocket> {
    return new Promise((resolve, reject) => {
      let greeting = ''
      let lean: LeanSocket | undefined
      const socket = connect({
        host: at.host,
        port: at.port,
        localAddress: at.from,
        noDelay: true,
        onread: {
          buffer: arriving,
          callback: (count) => {
            if (lean) lean.#read(arriving.subarray(0, count))
            else {
              greeting += arriving.toString('latin1', 0, count)
              if (greeting.endsWith('\r\n\r\n')) {
                if (!greeting.startsWith('HTTP/1.1 101')) reject(new Error(greeting))
                lean = new LeanSocket(socket)
                resolve(lean)
              }
            }
            return true
          },
        },
      })
      socket.on('error', reject)
      socket.write(
        `GET ${at.path} HTTP/1.1\r\nHost: ${at.host}:${at.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`,
      )
    })
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', (error) => {
      this.#failure ??= error
    })
    socket.on('close', () => {
      this.#failure ??= new Error('The other side has gone')
    })
  }

  set onFrame(listener: OnFrame) {
    this.#onFrame = listener
  }

  /** Why nothing will come any more. */
  get failure(): Error | undefined {
    return this.#failure
  }

  write(frame: Buffer): void {
    this.#socket.write(frame)
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    for (;;) {
      const frame = frameAt(bytes, at)
      if (!frame) break
      if (frame.opcode === 1) this.#onFrame(bytes, frame.start, frame.end)
      else this.#failure ??= new Error(`A frame of kind ${frame.opcode}: ${reasonIn(bytes, frame)}`)
      at = frame.end
    }
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined
  }
}

function frameAt(bytes: Buffer, at: number): { opcode: number; start: number; end: number } | undefined {
  if (at + 2 > bytes.length) return undefined
  let length = (bytes[at + 1] ?? 0) & 0x7f
  let start = at + 2
  if (length === 126) {
    if (at + 4 > bytes.length) return undefined
    length = bytes.readUInt16BE(at + 2)
    start = at + 4
  } else if (length === 127) {
    if (at + 10 > bytes.length) return undefined
    length = Number(bytes.readBigUInt64BE(at + 2))
    start = at + 10
  }
  const end = start + length
  return end > bytes.length ? undefined : { opcode: (bytes[at] ?? 0) & 0x0f, start, end }
}

const reasonIn = (bytes: Buffer, { start, end }: { start: number; end: number }) =>
  end - start > 2 ? `${bytes.readUInt16BE(start)} ${bytes.toString('utf8', start + 2, end)}` : 'no reason'
