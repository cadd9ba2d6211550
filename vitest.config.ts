import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

const browser = '**/*.browser.test.ts'

/** Suites that use nothing but this checkout run together; then the real store; then real browsers, one at a time. */
export default defineConfig({
  test: {
    projects: [
      suites('house', { include: ['bin/**/*.test.ts', 'bench/**/*.test.ts'] }),
      suites('protocol', { include: tests('packages/protocol') }),
      suites('client', { include: tests('packages/client') }),
      suites('widget', { include: tests('packages/widget') }),
      suites('desk', { include: tests('packages/desk') }),
      suites('server', { include: tests('packages/server'), env: { TEST_STORE: 'embedded' } }),
      suites('server-postgres', {
        include: tests('packages/server'),
        // What is about the embedded store itself has been shown by then.
        exclude: [browser, '**/embedded*.test.ts'],
        env: { TEST_STORE: 'postgres' },
        sequence: { groupOrder: 1 },
      }),
      suites('browser', {
        include: [`packages/${browser}`, `test/${browser}`],
        exclude: ['**/node_modules/**'],
        env: { TEST_STORE: 'embedded' },
        globalSetup: 'bin/build.ts',
        fileParallelism: false,
        testTimeout: 120_000,
        sequence: { groupOrder: 2 },
      }),
    ],
  },
})

function tests(folder: string): string[] {
  return [`${folder}/{src,test}/**/*.test.{ts,tsx}`]
}

/** Workspaces are imported as TypeScript (`source`), by Vite's runner and by what Node loads or starts itself. */
function suites(name: string, test: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return {
    resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
    ssr: { resolve: { conditions: ['source', 'module', 'node', 'development|production'] } },
    test: {
      name,
      exclude: ['**/node_modules/**', browser],
      pool: 'forks',
      maxWorkers: 2,
      retry: 0,
      testTimeout: 30_000,
      hookTimeout: 60_000,
      ...test,
    },
  }
}
