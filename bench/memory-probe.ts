/** Loaded before the server or the relay: tells whoever started it how much memory it holds, and ends with them. */
process.on('message', async (question) => {
  if (question !== 'memory') return
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  process.send?.(process.memoryUsage.rss())
})
// A run that failed has nobody left to stop its servers.
process.on('disconnect', () => process.exit())
// Asking is no reason to stay alive.
process.channel?.unref()
