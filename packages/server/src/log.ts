import { type Logger, pino } from 'pino'

/** One JSON line per fact, on standard error. What may hold a token or a password is cut before it is written. */
export function makeLog(level: string): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      redact: {
        paths: ['req', 'res', 'token', 'password', '*.token', '*.password', '*.authorization', 'headers'],
        remove: true,
      },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
