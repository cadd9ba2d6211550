import { join } from 'node:path'
import preact from '@preact/preset-vite'
import { build, type InlineConfig, type Plugin } from 'vite'

/** What both outputs share: the client is compiled from its source, for browsers of the last few years. */
const shared: InlineConfig = {
  configFile: false,
  root: import.meta.dirname,
  logLevel: 'warn',
  resolve: { conditions: ['source', 'module', 'browser', 'production'] },
}
/** Where everything the client and the styles use is at home. */
const target = ['es2022', 'chrome120', 'firefox121', 'safari17.4']

/**
 * Two outputs. The panel is a module with a hashed name, loaded when somebody opens the chat. The loader is the one
 * script a page names: a classic script of its own, so that it shares no chunk with the panel and leaves no globals.
 */
export default {
  ...shared,
  plugins: [preact({ reactAliasesEnabled: false, devToolsEnabled: false }), loader()],
  build: {
    target,
    manifest: true,
    modulePreload: false,
    rolldownOptions: {
      input: 'src/panel.tsx',
      preserveEntrySignatures: 'strict',
      output: { entryFileNames: 'panel-[hash].js', chunkFileNames: '[name]-[hash].js' },
    },
  },
} satisfies InlineConfig

/** Builds the loader beside the panel, once the panel's name is known. */
function loader(): Plugin {
  return {
    name: 'parley-loader',
    apply: 'build',
    async writeBundle({ dir = '' }, bundle) {
      const panel = Object.values(bundle).find((file) => file.type === 'chunk' && file.isEntry)
      if (!panel) throw new Error('There is no panel to load')
      await build({
        ...shared,
        define: { PANEL_FILE: JSON.stringify(panel.fileName) },
        build: {
          target,
          outDir: dir,
          emptyOutDir: false,
          rolldownOptions: {
            input: join(import.meta.dirname, 'src/loader.ts'),
            output: { format: 'iife', entryFileNames: 'loader.js' },
          },
        },
      })
    },
  }
}
