import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof makeMetrics>

/** What `/metrics` shows, in the words of Prometheus. No label holds anything that a person wrote. */
export function makeMetrics(count: () => { connections: number }) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  new Gauge({
    name: 'parley_connections',
    help: 'Open realtime connections of all transports',
    registers,
    collect() {
      this.set(count().connections)
    },
  })
  return {
    registry,
    slowReaders: new Counter({
      name: 'parley_slow_readers_total',
      help: 'Connections ended because they did not read',
      registers,
    }),
    messages: new Counter({ name: 'parley_messages_total', help: 'Messages committed', registers }),
    batches: new Histogram({
      name: 'parley_send_batch_size',
      help: 'Messages written by one commit',
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    }),
    requests: new Histogram({
      name: 'parley_http_request_seconds',
      help: 'Time to answer, by operation and status',
      labelNames: ['operation', 'status'] as const,
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
  }
}
