/** `compare bench --against c`: several fresh processes, and the medians over them. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median } from '../../reports/gate/stats.ts';
import type { CRow } from './against-c.ts';
import type { Point, Scaling } from './scaling.ts';

/** What a fresh process is told. */
export interface WorkerTask {
  readonly what: 'rows' | 'scaling';
  readonly addon: string;
  readonly pairs: number;
  /** Names; empty for all. */
  readonly strategies: readonly string[];
}

/** What it answers. */
export interface WorkerAnswer {
  readonly rows?: readonly CRow[];
  readonly scaling?: Scaling;
}

/** A row over all processes. */
export interface Row extends CRow {
  /** The ratios of the single processes, in the order taken. */
  readonly ratios: readonly number[];
}

const WORKER = new URL('./worker.js', import.meta.url);
const run = promisify(execFile);

/** False when the program runs from its sources: a fresh process needs the built one. */
export const hasWorker = (): boolean => existsSync(WORKER);

/** Runs one task in a fresh process. */
export async function inFreshProcess(task: WorkerTask, signal: AbortSignal): Promise<WorkerAnswer> {
  const options = { maxBuffer: 1 << 26, signal };
  const { stdout } = await run(process.execPath, [fileURLToPath(WORKER), JSON.stringify(task)], options);
  return JSON.parse(stdout) as WorkerAnswer;
}

/** Medians of rows over processes; digests must agree, or the processes did not do the same. */
export function mergeRows(answers: readonly WorkerAnswer[]): readonly Row[] {
  const first = answers[0]?.rows ?? [];
  return first.map((row, i) => {
    const all = answers.flatMap((a) => a.rows?.[i] ?? []);
    const of = (key: 'ns' | 'cNs' | 'ratio'): number => rounded(median(all.map((r) => r[key])));
    return {
      ...row,
      ns: of('ns'),
      cNs: of('cNs'),
      ratio: of('ratio'),
      ratios: all.map((r) => rounded(r.ratio)),
    };
  });
}

const rounded = (x: number): number => Number(x.toPrecision(4));

/** Medians of the scaling curves, point by point. */
export function mergeScaling(answers: readonly WorkerAnswer[]): Scaling | undefined {
  const all = answers.flatMap((a) => a.scaling ?? []);
  const first = all[0];
  if (first === undefined) return undefined;
  const number = (pick: (s: Scaling) => number): number => rounded(median(all.map(pick)));
  const point = (pick: (s: Scaling) => Point | undefined): Point => {
    const key = (k: keyof Point): number => number((s) => pick(s)?.[k] ?? Number.NaN);
    return { at: pick(first)?.at ?? Number.NaN, ns: key('ns'), cNs: key('cNs'), ratio: key('ratio') };
  };
  const curve = (key: 'slots' | 'hitBySize' | 'remapBySize'): Point[] =>
    first[key].map((_, i) => point((s) => s[key][i]));
  return {
    slots: curve('slots'),
    hitBySize: curve('hitBySize'),
    remapBySize: curve('remapBySize'),
    memoryBySize: first.memoryBySize,
    strategies: {
      one: point((s) => s.strategies.one),
      all: point((s) => s.strategies.all),
      slowdown: number((s) => s.strategies.slowdown),
    },
    instructionsPerSecond: {
      registers: number((s) => s.instructionsPerSecond.registers),
      copy: number((s) => s.instructionsPerSecond.copy),
    },
    exitsPerSecond: number((s) => s.exitsPerSecond),
    bytesPerAccess: number((s) => s.bytesPerAccess),
  };
}
