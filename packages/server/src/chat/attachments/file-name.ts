const longest = 200

/** What an operating system runs when it is opened. The name decides there, whatever the bytes are. */
const executable =
  /\.(exe|com|scr|pif|bat|cmd|msi|msp|msix|appx|cpl|lnk|url|scf|reg|hta|vb|vbs|vbe|js|jse|ws|wsf|wsh|jar|jnlp|apk|app|dmg|pkg|deb|rpm|desktop|command)$/i

export const namesExecutable = (name: string) => executable.test(name)

/**
 * A name that is safe to show, to store under and to send in a header: the last part of a path, without control and
 * formatting characters (among them those that turn the direction of writing, with which `fdp.exe` poses as
 * `exe.pdf`), and without dots and blanks at the end, which Windows drops. Joiners stay: scripts and emoji need them.
 */
export function cleanFileName(given: string): string {
  const last = given.toWellFormed().split(/[\\/]/).at(-1) ?? ''
  const plain = last
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu, '')
    .replace(/[<>:"|?*]/g, '_')
    .trim()
    .replace(/[. ]+$/, '')
  return plain === '' ? 'file' : shorten(plain)
}

/** Shortens the front and keeps the ending, by which people and programs know what it is. */
function shorten(name: string): string {
  if (name.length <= longest) return name
  const ending = /\.[^.]{1,20}$/.exec(name)?.[0] ?? ''
  return name.slice(0, longest - ending.length).replace(/[\ud800-\udbff]$/, '') + ending
}
