import { createCipheriv, createDecipheriv } from 'node:crypto'
import { keyFor } from '../../chat/access-tokens.ts'
import type { Chat } from '../../chat/chat.ts'
import { bytesOfUuid, idOf, uuidFromBytes, uuidOf } from './ids.ts'

/**
 * Names that are the only key to what they name: of files, which anybody may fetch who knows theirs, and of a visitor's
 * conversation, which a widget's socket joins without a token. Our ids will not do: colleagues see those and keep them
 * after they have left. So a name is the id under a cipher, one block to one block: unguessable, and nothing to store.
 */
export class SecretNames {
  readonly #key: Buffer

  static async of(chat: Chat, purpose: string): Promise<SecretNames> {
    return new SecretNames(Buffer.from(await keyFor(chat, purpose)).subarray(0, 16))
  }

  constructor(key: Buffer) {
    this.#key = key
  }

  nameOf(uuid: string): string {
    const cipher = createCipheriv('aes-128-ecb', this.#key, null).setAutoPadding(false)
    return idOf(uuidFromBytes(Buffer.concat([cipher.update(bytesOfUuid(uuid)), cipher.final()])))
  }

  uuidOf(name: unknown): string | null {
    const block = uuidOf(name)
    if (!block) return null
    const decipher = createDecipheriv('aes-128-ecb', this.#key, null).setAutoPadding(false)
    return uuidFromBytes(Buffer.concat([decipher.update(bytesOfUuid(block)), decipher.final()]))
  }
}
