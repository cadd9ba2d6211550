import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What is true on one machine only, or was left behind by accident. */
const traces: { is: string; looks: RegExp }[] = [
  { is: 'a path of one machine', looks: /(?<![\w.~-])\/(?:work|farm|root|home\/\w+|Users\/\w+)\// },
  { is: 'the host of a package registry', looks: /\bregistry\.[\w-]+\.[\w.-]+/ },
  { is: 'a conflict that was not resolved', looks: /^(?:<{7}|>{7}) /m },
]

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
let found = 0
for (const file of files.split('\0').filter(Boolean)) {
  const text = textOf(file)
  for (const { is, looks } of traces) {
    const match = looks.exec(text)
    if (!match) continue
    found++
    console.error(`${file}:${text.slice(0, match.index).split('\n').length} has ${is}: ${match[0].trim()}`)
  }
}
process.exit(found > 0 ? 1 : 0)

/** Empty for pictures and the like, and for files deleted but not yet committed. */
function textOf(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    return text.includes('\0') ? '' : text
  } catch {
    return ''
  }
}
