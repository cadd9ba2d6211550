/** Loaded before the server or the relay: tells whoever started it how much memory it holds. */
process.on('message', async (question) => {
  if (question !== 'memory') return
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  process.send?.(process.memoryUsage.rss())
})
// Asking is no reason to stay alive.
process.channel?.unref()
