/** What benchmarks print: a table for people, and the JSON and text that CI tools read. Pure. */

import type { Row } from './processes.ts';
import type { Point, Scaling } from './scaling.ts';
import type { BenchReport, LoopTime } from './time-loops.ts';

/** The report of `--against c`. */
export interface CReport {
  readonly rows: readonly Row[];
  readonly scaling: Scaling;
  readonly compiler: string;
  readonly processes: number;
  readonly pairs: number;
}

/** A number in a few digits, with a point whatever the locale. */
const num = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((r) => r[c]?.length ?? 0)));
  const line = (r: readonly string[]): string =>
    r.map((cell, c) => (c < 2 ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0))).join('  ');
  return rows.map((r) => `${line(r).trimEnd()}\n`).join('');
}

const nameOf = (l: Pick<LoopTime, 'op' | 'strategy'>): string => `${l.op} / ${l.strategy}`;

/** For people. */
export function benchTable(r: BenchReport): string {
  const head = ['loop', 'strategy', 'ns/op', '±', 'Mop/s', 'B/op', 'x reference', 'digest'];
  const body = r.loops.map((l) => [
    l.op,
    l.strategy,
    num(l.ns),
    num(l.mad),
    num(l.opsPerSecond / 1e6),
    num(l.bytesPerOp),
    num(l.relative),
    l.digest,
  ]);
  const foot = `reference loop ${num(r.referenceNs)} ns · Node ${r.node} ${r.arch} · ± is the median absolute deviation\n`;
  return `${columns([head, ...body])}\n${foot}`;
}

/** github-action-benchmark's `customSmallerIsBetter`. */
export function githubActionBenchmark(r: BenchReport): string {
  const entries = r.loops.map((l) => ({
    name: nameOf(l),
    unit: 'ns/op',
    value: l.ns,
    range: `± ${l.mad}`,
    extra: `digest ${l.digest}\n${l.relative} x the reference loop`,
  }));
  return `${JSON.stringify(entries, null, 2)}\n`;
}

/** Bencher Metric Format. */
export function bencherMetricFormat(r: BenchReport): string {
  const entries = r.loops.map((l) => [
    nameOf(l),
    { latency: { value: l.ns, lower_value: Math.max(0, l.ns - l.mad), upper_value: l.ns + l.mad } },
  ]);
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

/** Go's benchmark text, for benchstat. */
export function goBench(r: BenchReport): string {
  const head = `goos: ${process.platform}\ngoarch: ${r.arch}\nnode: ${r.node}\nUnit ns/op better=lower\n`;
  const camel = (op: string): string =>
    op.replace(/(^|-)(.)/g, (_, __, letter: string) => letter.toUpperCase());
  const lines = r.loops.map(
    (l) =>
      `Benchmark${camel(l.op)}/strategy=${l.strategy} ${l.samples} ${l.ns} ns/op ${Math.round(l.bytesPerOp)} B/op\n`,
  );
  return head + lines.join('');
}

/** `--against c` for people. */
export function againstCTable(r: CReport): string {
  const head = ['loop', 'strategy', 'ns/op', 'C ns/op', 'ratio', 'digest'];
  const body = r.rows.map((x) => [x.op, x.strategy, num(x.ns), num(x.cNs), num(x.ratio), x.digest]);
  return `${columns([head, ...body])}\n${scalingText(r.scaling)}
medians over ${r.processes} processes of ${r.pairs} pairs of slices, ours and C alternating; C by ${r.compiler} -O2
rom-write-cached is set against the C port that decides every time\n`;
}

function scalingText(s: Scaling): string {
  const curve = (points: readonly Point[], unit: string): string =>
    points.map((p) => `${p.at}${unit} ${num(p.ns)} (${num(p.ratio)} x C)`).join(', ');
  const memory = s.memoryBySize.map((p) => `${p.at} MiB ${num(p.bytes / 2 ** 20)} MiB`).join(', ');
  const { one, all, slowdown } = s.strategies;
  return [
    `refused store to a random slot, ns: ${curve(s.slots, '')}`,
    `load hit by guest memory, ns: ${curve(s.hitBySize, ' MiB')}`,
    `remap fault by guest memory, ns: ${curve(s.remapBySize, ' MiB')}`,
    `memory taken by guest memory, same pages touched: ${memory}`,
    `strategies alive: ${one.at} ${num(one.ratio)} x C, ${all.at} ${num(all.ratio)} x C: ${num(slowdown)} times as slow`,
    `guest instructions a second: ${num(s.instructionsPerSecond.registers / 1e6)} M in registers, ${num(s.instructionsPerSecond.copy / 1e6)} M copying`,
    `exits a second, decoded and emulated: ${num(s.exitsPerSecond / 1e6)} M`,
    `heap held an access: ${num(s.bytesPerAccess)} bytes`,
    '',
  ].join('\n');
}
