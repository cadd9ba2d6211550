import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { type Cluster, openCluster } from './embedded-cluster.ts'
import { openGate } from './embedded-gate.ts'
import { startUpkeep } from './embedded-upkeep.ts'

/** What the thread is started for: its `workerData`. */
export type Task = { kind: 'create'; cluster: string } | { kind: 'serve'; cluster: string; socket: string }
/** Sent once, when the task is done (create) or connections are accepted (serve). */
export type FromWorker = { durability: 'D1' | 'D1+' }
export type ToWorker = 'close'

// PostgreSQL runs in a thread of its own because its queries are synchronous: on the main thread they would starve it.
const port = parentPort
if (!port) throw new Error('embedded-worker.ts is started by embedded.ts, as a thread')
const task = workerData as Task
const cluster = await openCluster(task.cluster)
const stopServing = task.kind === 'serve' ? await serve(cluster, task.socket) : async () => {}
port.once('message', async () => {
  await stopServing()
  await cluster.close()
  process.exit(0) // of the thread
})
port.postMessage({ durability: cluster.durability } satisfies FromWorker)

async function serve(cluster: Cluster, socket: string): Promise<() => Promise<void>> {
  const gate = openGate(cluster)
  const upkeep = startUpkeep(cluster, gate)
  const server = createServer(gate.admit)
  rmSync(socket, { force: true }) // of a thread that died before
  await new Promise<void>((listening, failed) => server.once('error', failed).listen(socket, listening))
  return async () => {
    server.close()
    upkeep.stop()
    await gate.close()
  }
}
