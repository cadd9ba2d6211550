import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

/** A TCP connection that says exactly what it is told to, and keeps what it hears. */
export class RawSocket implements Disposable {
  readonly socket: Socket
  heard = Buffer.alloc(0)
  readonly ended: Promise<void>

  constructor(url: string) {
    const { hostname, port } = new URL(url)
    this.socket = connect({ host: hostname, port: Number(port) })
    this.socket.on('data', (data: Buffer) => {
      this.heard = Buffer.concat([this.heard, data])
    })
    this.ended = new Promise((resolve) => this.socket.on('close', () => resolve()))
    this.socket.on('error', () => {})
  }

  write(data: string | Buffer): void {
    this.socket.write(data)
  }

  /** Waits until the other side has closed. */
  async closed(withinMs = 5_000): Promise<string> {
    const late = new Promise<never>((_, reject) =>
      setTimeout(
        () => reject(new Error(`Still open; heard ${this.heard.toString('latin1')}`)),
        withinMs,
      ).unref(),
    )
    await Promise.race([this.ended, late])
    return this.heard.toString('latin1')
  }

  async until(fits: (heard: Buffer) => boolean, withinMs = 5_000): Promise<void> {
    const deadline = Date.now() + withinMs
    while (!fits(this.heard)) {
      if (Date.now() > deadline) throw new Error(`Not heard; only ${this.heard.toString('latin1')}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** Becomes a WebSocket that has sent nothing yet. */
  async upgrade(path = '/api/v1/realtime'): Promise<void> {
    this.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    )
    await this.until((heard) => heard.includes('\r\n\r\n'))
    if (!this.heard.includes('101')) throw new Error(`No upgrade: ${this.heard}`)
    this.heard = Buffer.alloc(0)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

type FrameParts = { first?: number; payload?: Buffer | string; mask?: boolean; length?: Buffer }

/** A WebSocket frame (RFC 6455 §5.2), right or wrong. `first` holds FIN, reserved bits and the opcode. */
export function frameOf({ first = 0x81, payload = '', mask = true, length }: FrameParts): Buffer {
  const body = Buffer.from(payload)
  const size = length ?? lengthOf(body.length)
  const key = randomBytes(4)
  const masked = mask ? body.map((byte, i) => byte ^ (key[i % 4] ?? 0)) : body
  const head = Buffer.concat([Buffer.from([first]), size])
  if (mask) head.writeUInt8(head.readUInt8(1) | 0x80, 1)
  return Buffer.concat([head, mask ? key : Buffer.alloc(0), masked])
}

function lengthOf(length: number): Buffer {
  if (length < 126) return Buffer.from([length])
  const size = Buffer.alloc(length < 65_536 ? 3 : 9)
  size.writeUInt8(length < 65_536 ? 126 : 127, 0)
  if (length < 65_536) size.writeUInt16BE(length, 1)
  else size.writeBigUInt64BE(BigInt(length), 1)
  return size
}

/** The close code that the server sent, if it sent a close frame; looks only at the last frame. */
export function closeCodeIn(heard: Buffer): number | undefined {
  for (let at = 0; at + 2 <= heard.length; ) {
    const opcode = heard.readUInt8(at) & 0x0f
    const short = heard.readUInt8(at + 1)
    const [size, head] =
      short < 126
        ? [short, 2]
        : short === 126
          ? [heard.readUInt16BE(at + 2), 4]
          : [Number(heard.readBigUInt64BE(at + 2)), 10]
    if (opcode === 8) return size >= 2 ? heard.readUInt16BE(at + head) : 1005
    at += head + size
  }
  return undefined
}
