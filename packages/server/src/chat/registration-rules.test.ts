import { expect, test } from 'vitest'
import { type Decision, decideRegistration, type Proof } from './registration-rules.ts'

/** The table of promises §5, cell by cell: contact without and with a grant, staff without and with one. */
const cells: [
  mode: Parameters<typeof decideRegistration>[0],
  contact: Decision,
  contactGranted: Decision,
  staff: Decision,
  staffGranted: Decision,
][] = [
  ['customer_only', 'allow', 'allow', 'refuse', 'allow'],
  ['invite', 'refuse', 'allow', 'refuse', 'allow'],
  ['pending', 'allow', 'allow', 'pending', 'allow'],
  ['closed', 'refuse', 'refuse', 'refuse', 'refuse'],
  ['open_demo', 'allow', 'allow', 'allow', 'allow'],
]

test.each(cells)('%s', (mode, contact, contactGranted, staff, staffGranted) => {
  expect(decideRegistration(mode, 'contact', 'none')).toBe(contact)
  expect(decideRegistration(mode, 'contact', 'valid')).toBe(contactGranted)
  for (const role of ['agent', 'supervisor', 'admin', 'owner'] as const) {
    expect(decideRegistration(mode, role, 'none')).toBe(staff)
    expect(decideRegistration(mode, role, 'valid')).toBe(staffGranted)
  }
})

test('a bad proof is refused everywhere', () => {
  const bad: Proof = 'bad'
  for (const [mode] of cells) {
    for (const role of ['contact', 'agent', 'owner'] as const)
      expect(decideRegistration(mode, role, bad)).toBe('refuse')
  }
})
