import { expect, test } from 'vitest'
import { rolesToInvite } from './rank.ts'

test('nobody invites to their own rank or above, owners excepted', () => {
  expect(rolesToInvite('agent')).toEqual([])
  expect(rolesToInvite('supervisor')).toEqual(['agent'])
  expect(rolesToInvite('admin')).toEqual(['agent', 'supervisor'])
  expect(rolesToInvite('owner')).toEqual(['agent', 'supervisor', 'admin', 'owner'])
})
