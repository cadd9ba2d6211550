import { expect, test } from 'vitest'
import { readConfig, settings } from './config.ts'

test('an environment without settings gives the defaults of the table', () => {
  expect(readConfig({ PATH: '/usr/bin', HOME: '/root' })).toMatchObject({
    port: 3000,
    host: '127.0.0.1',
    dataDir: './data',
    databaseUrl: null,
    rateLimit: true,
    demo: false,
  })
})

test('a name that is nearly a setting stops the start with the name that is one', () => {
  const misspelt = {
    REQUIRE_DURABILTY: 'REQUIRE_DURABILITY',
    RQUIRE_DURABILTY: 'REQUIRE_DURABILITY',
    DATABSE_URL: 'DATABASE_URL',
    LOGLEVEL: 'LOG_LEVEL',
    DATADIR: 'DATA_DIR',
    PROT: 'PORT',
    Port: 'PORT',
    hosts: 'HOST',
    PARLEY_MOUNT: 'PARLEY_MOUNTS',
  }
  for (const [name, meant] of Object.entries(misspelt)) {
    expect(() => readConfig({ [name]: '1' })).toThrow(`${name} is not a setting of Parley; write ${meant}`)
  }
})

test('a name that says it is of Parley, and is none, stops the start', () => {
  expect(() => readConfig({ PARLEY_RETENTION: '30' })).toThrow('PARLEY_RETENTION is not a setting')
})

test('no two settings are so alike that one is taken for the other, and none for a name that every machine has', () => {
  const everybodys = [
    'PATH',
    'HOME',
    'USER',
    'LANG',
    'SHELL',
    'HOSTNAME',
    'TZ',
    'PWD',
    'TERM',
    'CI',
    'NODE_ENV',
  ]
  const tests = ['TEST_DATABASE_URL', 'TEST_REDIS_URL', 'TEST_CHROMIUM', 'TEST_STORE']
  expect(() =>
    readConfig(Object.fromEntries([...everybodys, ...tests].map((name) => [name, '']))),
  ).not.toThrow()
  expect(() => readConfig(Object.fromEntries(Object.keys(settings).map((name) => [name, ''])))).not.toThrow()
})

test('a value that is wrong stops the start with its name and what it should be', () => {
  const wrong = {
    PORT: '65536',
    PUBLIC_URL: 'chat.example.com',
    DATABASE_URL: 'mysql://127.0.0.1/parley',
    DATABASE_POOL: '1',
    REQUIRE_DURABILITY: 'D3',
    REGISTRATION_SECRET: 'short',
    TRUST_PROXY: 'yes',
    LOG_LEVEL: 'loud',
    MAX_UPLOAD_BYTES: '1e6',
    MAX_OUTBOX_BYTES: '-1',
    DRAIN_MS: '1.5',
    RATE_LIMIT: 'true',
    PARLEY_MOUNTS: 'servicehub:',
  } as const
  for (const [name, value] of Object.entries(wrong)) {
    const { should } = settings[name as keyof typeof wrong]
    expect(() => readConfig({ [name]: value })).toThrow(`${name} is "${value}", but should ${should}`)
  }
})

test('settings that cannot both be meant stop the start', () => {
  expect(() => readConfig({ REQUIRE_DURABILITY: 'D2' })).toThrow('set DATABASE_URL')
  expect(() => readConfig({ DATABASE_POOL: '20' })).toThrow('no pool without DATABASE_URL')
  expect(() => readConfig({ REDIS_URL: 'redis://127.0.0.1' })).toThrow('has no use for Redis')
  expect(() => readConfig({ HOST: '0.0.0.0' }, ['--demo'])).toThrow('needs a loopback HOST')
  expect(() => readConfig({ NODE_ENV: 'production' }, ['--demo'])).toThrow('NODE_ENV is production')
  expect(() => readConfig({ REGISTRATION_SECRET: 'your-secret-key-of-parley' })).toThrow('placeholder')
})

test('an option that does not exist stops the start', () => {
  expect(() => readConfig({}, ['--dmeo'])).toThrow('the only option is --demo')
})
