import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** The desk is served below `/desk/` by Parley itself. Workspaces are imported as TypeScript. */
export default defineConfig({
  base: '/desk/',
  plugins: [react()],
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
})
