import { defineConfig } from 'vitest/config'

/** Packages are read as TypeScript, without a build. */
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
})
