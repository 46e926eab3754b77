/**
 * A worker process: sets itself up, then does task after task. It may be ended from outside at any moment, so it keeps
 * nothing; and whatever a user's module does to its process, it does to this one.
 */
import { Worker } from 'node:worker_threads';
import { kindAndLine, textOf, UsageError } from '../io.ts';
import type { Failure, Order, Reply, Service, ServiceName } from './messages.ts';

/** The services, loaded when one is asked for. `say` hears what is being done. */
const SERVICES: Readonly<
  Record<ServiceName, (setup: unknown, say: (doing: string) => void) => Promise<Service>>
> = {
  cells: async (setup, say) => (await import('../run/serve-cells.ts')).serveCells(setup, say),
};

// Taken before a module can put its own in their places.
const send = process.send?.bind(process);
const channel = process.channel;
const exit = process.exit.bind(process);

const reply = (message: Reply): void => void send?.(message);

function failure(error: unknown): Failure {
  let stack = '';
  try {
    if (error instanceof Error) stack = String(error.stack);
  } catch {
    // A getter of the user's.
  }
  const usage = error instanceof UsageError;
  return { line: usage ? textOf(error) : kindAndLine(error), stack, usage };
}

// The terminal sends its signals to every process: what becomes of this one is the program's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => exit());
process.on('uncaughtException', (error) => reply({ late: failure(error) }));
// Nothing is left that could happen while an order is in hand: what it waits for will not come.
process.on('beforeExit', () => {
  channel?.ref();
  reply({ stuck: true });
});

let service: Service | undefined;

async function obey(order: Order): Promise<unknown> {
  if ('service' in order) {
    new Worker(new URL('./watchdog.js', import.meta.url), {
      workerData: { parent: process.ppid, memory: order.memory },
    }).unref();
    service = await SERVICES[order.service](order.setup, (doing) => reply({ doing }));
    return service.ready;
  }
  if ('task' in order) return service?.run(order.task);
  // Rejections that nobody caught are told before this answer is.
  await new Promise((resolve) => setTimeout(resolve, 0));
  return undefined;
}

process.on('message', async (order: Order) => {
  channel?.unref();
  try {
    const answer = await obey(order);
    reply({ answer });
  } catch (error) {
    reply({ failed: failure(error) });
  }
  channel?.ref();
});
