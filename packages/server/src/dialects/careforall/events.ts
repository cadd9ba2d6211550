import { Failure } from '../../chat/failure.ts'
import type { Door, SocketRequest, TextSocket } from '../door.ts'
import { Guest, mostWaiting } from './guest.ts'
import { type ErrorFrame, frameOf, frames } from './refusals.ts'

const mostWaitingCharacters = 1_048_576

/**
 * One socket, one conversation. It waits while it is decided who comes and whether they may; then it is in, until it
 * closes. What it said meanwhile is kept for then, and forgotten when it is turned away.
 */
type State =
  | { at: 'door'; kept: string[]; characters: number; tooMany: number }
  | { at: 'table'; guest: Guest }
  | { at: 'gone' }

export function accept(socket: TextSocket, request: SocketRequest, door: Door): void {
  let state: State = { at: 'door', kept: [], characters: 0, tooMany: 0 }
  socket.onText((text) => {
    if (state.at === 'table') return state.guest.said(text)
    if (state.at === 'gone') return
    state.characters += text.length
    if (state.kept.length < mostWaiting && state.characters <= mostWaitingCharacters) state.kept.push(text)
    else state.tooMany++
  })
  const tell = (frame: object) => socket.send(JSON.stringify(frame))
  const turnAway = (frame: ErrorFrame) => {
    if (state.at === 'gone') return
    state = { at: 'gone' }
    guest.end()
    tell(frame)
    socket.close()
  }
  const guest = new Guest(door, tell, turnAway)
  socket.onClose(() => {
    state = { at: 'gone' }
    guest.end()
  })
  const name = request.path.split('/')[3]
  guest.begin(name, request).then(
    (isIn) => {
      if (!isIn || state.at !== 'door') return
      const { kept, tooMany } = state
      state = { at: 'table', guest }
      for (const text of kept) guest.said(text)
      for (let i = 0; i < tooMany; i++) tell(frames.tooMany)
    },
    (fault: unknown) => {
      if (!(fault instanceof Failure)) door.log.error({ err: fault }, 'somebody could not be let in')
      turnAway(frameOf(fault))
    },
  )
}
