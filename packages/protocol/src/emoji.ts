import { Type } from 'typebox'

const sign =
  '\\p{Extended_Pictographic}(?:\\uFE0F|\\p{Emoji_Modifier}|[\\u{E0020}-\\u{E007E}]{1,6}\\u{E007F})?'
const joined = `${sign}(?:\\u200D${sign}){0,5}`
const pattern = `^(?:\\p{Regional_Indicator}{2}|[0-9#*]\\uFE0F?\\u20E3|${joined})$`

/**
 * One emoji as people see it: a sign, toned, joined or of a flag, or a key; also without the variation selector that many
 * keyboards leave out. `\p{RGI_Emoji}` would refuse that, and patterns of JSON Schema do not know it.
 */
export const Emoji = Type.String({ pattern, description: 'One emoji.' })

const form = new RegExp(pattern, 'u')

/** The same for doors that check what comes in by themselves. */
export const isEmoji = (text: string): boolean => form.test(text)
