/** Tier 2: instructions an access, counted by valgrind's callgrind. Two runs of different length; their slope. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { firstLine } from '../io.ts';
import type { EntryTask } from './entry.ts';

const run = promisify(execFile);

/** Loops whose instructions are counted. */
export const COUNTED = ['rom-write', 'tlb-miss'] as const;

/** Batches of the shorter run, long enough for all code to be compiled; and of the longer one. */
const SHORT = 30;
const LONG = 150;

/** V8 without threads, clocks or random numbers of its own: the same code at the same point of every run. */
const V8 = ['--predictable', '--single-threaded', '--hash-seed=42', '--random-seed=42'];
const CALLGRIND = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--smc-check=all-non-file'];

/** Why instructions cannot be counted here, if they cannot. */
export async function whyNoInstructions(entry: string): Promise<string | undefined> {
  if (!existsSync(entry)) return 'it needs the built program';
  for (const [tool, arg] of [
    ['valgrind', '--version'],
    ['setarch', '--version'],
  ] as const) {
    try {
      await run(tool, [arg]);
    } catch {
      return `${tool} is not installed`;
    }
  }
  return undefined;
}

/** The program that is measured, of the build in `dist`; this one's when absent. */
export function entryOf(dist?: string): string {
  return dist === undefined
    ? fileURLToPath(new URL('./entry.js', import.meta.url))
    : fileURLToPath(new URL(`file://${dist}/bin/gate/entry.js`));
}

async function count(
  entry: string,
  task: EntryTask,
  signal: AbortSignal,
): Promise<{ ir: number; accesses: number }> {
  // An empty environment: certificates and the like change how Node starts, and by more than is looked for.
  const args = ['-R', 'valgrind', ...CALLGRIND, process.execPath, ...V8, entry, JSON.stringify(task)];
  const env = { PATH: process.env.PATH ?? '' };
  const { stdout, stderr } = await run(
    'setarch',
    [process.arch === 'x64' ? 'x86_64' : process.arch, ...args],
    {
      env,
      signal,
      maxBuffer: 1 << 24,
    },
  );
  const ir = Number(/Collected : (\d+)/.exec(stderr)?.[1] ?? Number.NaN);
  const { accesses } = JSON.parse(stdout) as { accesses: number };
  if (!Number.isFinite(ir)) throw new Error(`callgrind gave no count: ${firstLine(stderr)}`);
  return { ir, accesses };
}

/** Instructions an access of one loop. */
export async function instructionsPerAccess(
  entry: string,
  strategy: string,
  op: string,
  extra: number,
  signal: AbortSignal,
): Promise<number> {
  const task = { what: 'instructions', strategy, op, extra } as const;
  const short = await count(entry, { ...task, batches: SHORT }, signal);
  const long = await count(entry, { ...task, batches: LONG }, signal);
  return Number(((long.ir - short.ir) / (long.accesses - short.accesses)).toFixed(4));
}
