import { setTimeout as wait } from 'node:timers/promises'
import type { FinalMessage, Line } from '../history-lines.ts'
import { hashOf, type Stage } from '../stage.ts'
import { Refused, type Speaker, type Voice } from './voices.ts'

type Lane = { speaker: Speaker; conversation: string; most?: number }

/**
 * Sends one message after the other through a dialect, until the stage is over. Where its clients may name what they
 * send, each is tried until it is acknowledged; where they may not, another try would be another message, so whatever
 * nobody knows about is left alone.
 */
export async function keepSpeaking(stage: Stage, lane: Lane): Promise<void> {
  const { speaker, most = Infinity } = lane
  const process = stage.nameFor({ ...speaker.who, name: speaker.dialect }, speaker.way)
  let voice: Voice | undefined
  const say = async (body: string, key: string) => {
    try {
      voice ??= await speaker.open(await stage.url)
      return await voice.say(body, key)
    } catch (error) {
      if (error instanceof Refused) throw error
      voice?.close()
      voice = undefined
      await wait(5)
      return null
    }
  }
  try {
    for (let n = 1; !stage.isOver && n <= most; n++) await speakOnce(stage, lane, process, `${process}/${n}`, say)
  } finally {
    voice?.close()
  }
}

type Say = (body: string, key: string) => Promise<{ name: string | null } | null>

async function speakOnce(
  { recorder, acknowledge }: Stage,
  { speaker, conversation }: Lane,
  process: string,
  key: string,
  say: Say,
): Promise<void> {
  const body = `${key} says ${'…'.repeat(1 + (key.length % 7))}`
  const { way, who } = speaker
  const line = {
    ...{ f: 'send', process, transport: way, conversation, sender: who.userId },
    ...{ key, hash: hashOf(body), visibility: 'everyone' },
  } as const
  do {
    recorder.write({ ...line, type: 'invoke' })
    const said = await say(body, key)
    if (!said) recorder.write({ ...line, type: 'info' })
    else {
      // Dialects say no positions; `asSent` looks them up.
      recorder.write({ ...line, type: 'ok', id: said.name ?? '', seq: 0 })
      return acknowledge()
    }
  } while (speaker.namesItsSends)
}
