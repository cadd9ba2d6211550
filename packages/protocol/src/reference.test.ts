import { expect, test } from 'vitest'
import { closeCodes, errors } from './errors.ts'
import { Beat, Hello } from './events.ts'
import { controlFrames, frameType, liveEvents, logEvents } from './named-schemas.ts'
import { connectionCommands, operationNames, operationOf } from './operations/index.ts'
import { reference } from './reference.ts'

const page = reference()
const rows = page.split('\n').filter((line) => line.startsWith('| `'))
const inFirstCell = (name: string) => rows.filter((row) => row.startsWith(`| \`${name}\` |`))

test('every command, event, frame and error has its one row', () => {
  const names = [
    ...operationNames.filter((name) => operationOf(name).realtime),
    ...Object.keys(connectionCommands),
    ...[...logEvents, ...liveEvents].map(frameType),
  ]
  for (const name of [...names, ...Object.keys(errors).filter((code) => !(code in closeCodes))]) {
    expect(inFirstCell(name), name).toHaveLength(1)
  }
  for (const frame of controlFrames) expect(inFirstCell(frameType(frame)).length).toBeGreaterThan(0)
})

test('what a client sends is there with all its fields', () => {
  for (const frame of [Hello, Beat]) {
    const [row = ''] = inFirstCell(frameType(frame))
    for (const name of Object.keys(frame.properties).filter((name) => name !== 'type')) {
      expect(row).toMatch(new RegExp(`\\| \`${name}\`|<br>\`${name}\``))
    }
  }
})

test('every close code is there', () => {
  for (const { code, meaning } of Object.values(closeCodes)) {
    expect(page).toMatch(new RegExp(`^\\| ${code} \\|.*${meaning}`, 'm'))
  }
})

test('the rows of a table have as many cells as its head', () => {
  for (const table of page
    .trimEnd()
    .split('\n\n')
    .filter((block) => block.startsWith('|'))) {
    const widths = table.split('\n').map((row) => row.replaceAll('\\|', '').split('|').length)
    expect(new Set(widths).size).toBe(1)
  }
})
