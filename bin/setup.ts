import { type PartName, realParts } from './real-parts.ts'

console.log('\nInstalled. These parts of the machine are used when they are there:\n')
for (const name of Object.keys(realParts) as PartName[]) {
  const { title, find, without, remedy } = realParts[name]
  const found = await find()
  console.log(
    found.ok ? `  ✓ ${title}: ${found.what}` : `  ✗ ${title}: ${found.why}\n    ${without} ${remedy}`,
  )
}
console.log('\n`npm start` runs Parley, `npm test` and `npm run check` show whether it is whole.')
