import { run } from '../packages/server/src/store/schema-files.ts'

process.exit(await run({ check: process.argv.includes('--check') }))
