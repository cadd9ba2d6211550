/** The id of a conversation: both people, in plain string order. Derived each time, never stored. */
export const pairIdOf = (a: string, b: string) => [a, b].sort().join('_')

/** Whether a text names these two, in either order. */
export const isPairOf = (id: string, a: string, b: string) =>
  a !== b && (id === `${a}_${b}` || id === `${b}_${a}`)

/**
 * Who the other one may be in an id that I belong to: nobody, one, or (since ids of people may hold `_`) two. Everybody
 * finds only pairs that they are part of, so a prefix that happens to fit opens nothing. The sorted reading is first.
 */
export function othersIn(id: string, me: string): string[] {
  const after = id.startsWith(`${me}_`) ? id.slice(me.length + 1) : ''
  const before = id.endsWith(`_${me}`) ? id.slice(0, -(me.length + 1)) : ''
  const others = [...new Set([after, before])].filter((other) => other !== '' && other !== me)
  return others.sort((a, b) => Number(pairIdOf(me, b) === id) - Number(pairIdOf(me, a) === id))
}
