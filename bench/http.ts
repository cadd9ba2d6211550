import { connect, type Socket } from 'node:net'
import type { Child } from './child.ts'

export type Answer = { status: number; body: string }
export type Question = { method: string; path: string; token: string; body?: object }

/** As little of an HTTP client as a load maker needs: one connection that stays, one question at a time. */
export class LeanHttp {
  readonly #socket: Socket
  readonly #host: string
  #rest: Buffer = Buffer.alloc(0)
  #waiting: PromiseWithResolvers<Answer> | undefined

  static open({ host, port }: Pick<Child, 'host' | 'port'>): Promise<LeanHttp> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true }, () =>
        resolve(new LeanHttp(socket, `${host}:${port}`)),
      )
      socket.on('error', reject)
    })
  }

  private constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#host = host
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('close', () => this.#waiting?.reject(new Error('The other side has gone')))
  }

  ask({ method, path, token, body }: Question): Promise<Answer> {
    this.#waiting = Promise.withResolvers()
    const text = body === undefined ? '' : JSON.stringify(body)
    const about =
      body === undefined
        ? ''
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
    this.#socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nAuthorization: Bearer ${token}\r\n${about}\r\n${text}`,
    )
    return this.#waiting.promise
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const head = this.#rest.indexOf('\r\n\r\n')
    if (head < 0) return
    const heading = this.#rest.toString('latin1', 0, head)
    const length = /^content-length: (\d+)/im.exec(heading)?.[1]
    if (length === undefined)
      return this.#waiting?.reject(new Error(`An answer without a length: ${heading}`))
    const end = head + 4 + Number(length)
    if (this.#rest.length < end) return
    const body = this.#rest.toString('utf8', head + 4, end)
    this.#rest = this.#rest.subarray(end)
    this.#waiting?.resolve({ status: Number(heading.slice(9, 12)), body })
  }
}
