import type { Selectable } from 'kysely'
import type { Tables } from '../../store/store.ts'

export type AttachmentRow = Selectable<Tables['attachment']>

/** Keys are the file's own id, which says nothing to anybody else, and cannot be chosen by anybody. */
export const blobOf = (id: string) => id
export const thumbnailOf = (id: string) => `${id}.thumbnail`
export const blobsOf = (row: Pick<AttachmentRow, 'id' | 'has_thumbnail'>) =>
  row.has_thumbnail ? [blobOf(row.id), thumbnailOf(row.id)] : [blobOf(row.id)]
