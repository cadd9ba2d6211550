import { type ControlFrame, limits } from '@parley/protocol'
import type { Actor } from '../chat/actor.ts'
import { Failure, faultOf } from '../chat/failure.ts'
import { errorBody } from '../errors.ts'
import { isOperationName, performCommand } from '../operations.ts'
import type { Parley } from '../parley.ts'
import { refuseUnkeepable } from '../validation.ts'

export type Command = { id: number; type: string; input: Record<string, unknown> }

/** Whose commands they are. `perform` does what concerns only this connection. */
type Issuer = {
  readonly actor: Actor
  perform(type: string, input: Record<string, unknown>): Promise<unknown>
  tell(reply: Extract<ControlFrame, { type: 'reply' }>): void
}

/** The commands of one peer: each is answered once, in the order in which they are done, and only so many are under way. */
export class Commands {
  readonly #parley: Parley
  readonly #issuer: Issuer
  #inFlight = 0

  constructor(parley: Parley, issuer: Issuer) {
    this.#parley = parley
    this.#issuer = issuer
  }

  get areUnderWay(): boolean {
    return this.#inFlight > 0
  }

  take(command: Command): void {
    const { isDraining } = this.#parley
    if (!isDraining && this.#inFlight < limits.commandsInFlight) {
      void this.#answer(command)
      return
    }
    const failure = new Failure(isDraining ? 'overloaded' : 'rate_limited', {
      notApplied: true,
      retryAfter: 1,
    })
    this.#issuer.tell({ type: 'reply', id: command.id, ok: false, error: errorBody(failure) })
  }

  async #answer(command: Command): Promise<void> {
    this.#inFlight++
    try {
      const result = await this.#run(command)
      this.#issuer.tell({ type: 'reply', id: command.id, ok: true, ...(result !== undefined && { result }) })
    } catch (error) {
      if (!(error instanceof Failure))
        this.#parley.log.error({ err: error, command: command.type }, 'command failed')
      this.#issuer.tell({ type: 'reply', id: command.id, ok: false, error: errorBody(faultOf(error)) })
    } finally {
      this.#inFlight--
    }
  }

  #run({ type, input }: Command): Promise<unknown> {
    refuseUnkeepable(input)
    // How present somebody is they say of one connection: another tab may say otherwise (SPEC W5).
    if (isOperationName(type) && type !== 'presence.set') {
      return performCommand(this.#parley, type, this.#issuer.actor, input)
    }
    return this.#issuer.perform(type, input)
  }
}
