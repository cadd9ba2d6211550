import { aliasesOf, aliasOf, idOfAlias } from '../../chat/aliases.ts'
import type { Door } from '../door.ts'
import { refusals } from './refusals.ts'
import { type Names, readName } from './translate.ts'

type Kind = 'person' | 'conversation'
const scheme = 'hex24'

export const nameOf = ({ chat, mount }: Door, kind: Kind, id: string): Promise<string> =>
  aliasOf(chat.db, mount.workspaceId, scheme, kind, id)

export const namesOf = ({ chat, mount }: Door, kind: Kind, ids: readonly string[]): Promise<Names> =>
  aliasesOf(chat.db, mount.workspaceId, scheme, kind, ids)

/** Whose name this is; null where nobody has it. A text that cannot be a name is refused. */
export async function idOf({ chat, mount }: Door, kind: Kind, text: string): Promise<string | null> {
  const name = readName(text)
  if (!name) throw refusals.badId(text)
  return idOfAlias(chat.db, mount.workspaceId, scheme, kind, name)
}
