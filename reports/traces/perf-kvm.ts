/**
 * `perf kvm stat report` of a trace, in both of its layouts: the classic one (perf before 6.4) and the one with columns
 * in nanoseconds that came with 6.4. What is counted, and from where to where a time runs, is perf's: an exit to the
 * next entry; an MMIO write from its event to the entry; an MMIO read from the exit to the answer; a port from its
 * event to the entry (tools/perf/arch/x86/util/kvm-stat.c).
 */
import type { TraceEvent } from '../../scenarios/traces/read/trace-event.ts';

/** What is counted. */
export const PERF_EVENTS = ['vmexit', 'mmio', 'ioport'] as const;
export type PerfEvent = (typeof PERF_EVENTS)[number];
/** What rows are sorted by, largest first. */
export const PERF_KEYS = ['sample', 'time'] as const;
export type PerfKey = (typeof PERF_KEYS)[number];

const TITLES: Readonly<Record<PerfEvent, string>> = {
  vmexit: 'VM-EXIT',
  mmio: 'MMIO Access',
  ioport: 'IO Port Access',
};

/** Times of one row, in nanoseconds, kept as they come (Welford). */
class Times {
  count = 0;
  total = 0;
  min = Number.POSITIVE_INFINITY;
  max = 0;
  #mean = 0;
  #squares = 0;

  add(ns: number): void {
    this.count += 1;
    this.total += ns;
    this.min = Math.min(this.min, ns);
    this.max = Math.max(this.max, ns);
    const off = ns - this.#mean;
    this.#mean += off / this.count;
    this.#squares += off * (ns - this.#mean);
  }

  get mean(): number {
    return this.#mean;
  }

  /** The standard error of the mean, in percent of the mean: what perf prints after `+-`. */
  get relative(): number {
    if (this.count < 2 || this.#mean === 0) return 0;
    return (100 * Math.sqrt(this.#squares / (this.count - 1) / this.count)) / this.#mean;
  }
}

/** An event of a vCPU that has begun. */
interface Begun {
  key: string | undefined;
  readonly time: number;
}

/** Counts a trace as perf does; its memory grows with the kinds of events, not with their number. */
export class PerfKvmStat {
  readonly #what: PerfEvent;
  readonly #rows = new Map<string, Times>();
  readonly #begun = new Map<number, Begun>();
  /** Entries seen: without any there is no time to tell. */
  entries = 0;

  constructor(what: PerfEvent) {
    this.#what = what;
  }

  /** Takes the next event. */
  event(e: TraceEvent): void {
    if (e.event === 'kvm_entry') this.entries += 1;
    const key = this.#ends(e);
    if (key !== undefined) this.#end(e.thread, e.time, key);
    const begins = this.#begins(e);
    if (begins !== undefined)
      this.#begun.set(e.thread, { key: begins === '' ? undefined : begins, time: e.time });
  }

  /** The key under which an event begins something, '' where the key comes later, undefined if it begins nothing. */
  #begins(e: TraceEvent): string | undefined {
    if (this.#what === 'vmexit') return e.event === 'kvm_exit' ? perfReason(e.reason) : undefined;
    if (this.#what === 'ioport')
      return e.event === 'kvm_pio'
        ? `0x${e.port.toString(16)}:${e.kind === 'write' ? 'POUT' : 'PIN'}`
        : undefined;
    if (e.event === 'kvm_exit') return '';
    return e.event === 'kvm_mmio' && e.kind === 'write' ? `0x${e.gpa.toString(16)}:W` : undefined;
  }

  /** What an event ends: '' for whatever began, undefined for nothing. */
  #ends(e: TraceEvent): string | undefined {
    if (e.event === 'kvm_entry') return '';
    if (this.#what !== 'mmio' || e.event !== 'kvm_mmio' || e.kind !== 'read') return undefined;
    return `0x${e.gpa.toString(16)}:R`;
  }

  #end(thread: number, time: number, said: string): void {
    const begun = this.#begun.get(thread);
    const key = said === '' ? begun?.key : said;
    this.#begun.delete(thread);
    if (begun === undefined || key === undefined) return;
    const row = this.#rows.get(key) ?? new Times();
    this.#rows.set(key, row);
    row.add(Math.max(0, (time - begun.time) * 1e9));
  }

  /** The report. */
  text(layout: 'classic' | 'hist', key: PerfKey): string {
    const by = (t: Times): number => (key === 'sample' ? t.count : t.total);
    const rows = [...this.#rows].sort(([a, x], [b, y]) => by(y) - by(x) || (a < b ? -1 : 1));
    const samples = rows.reduce((sum, [, t]) => sum + t.count, 0);
    const time = rows.reduce((sum, [, t]) => sum + t.total, 0);
    const share = (part: number, whole: number): number => (whole === 0 ? 0 : (100 * part) / whole);
    const lines = rows.map(([name, t]) => {
      const shares = { samples: share(t.count, samples), time: share(t.total, time) };
      return layout === 'classic' ? classicRow(name, t, shares) : histRow(name, t, shares);
    });
    if (layout === 'hist') return `${[HIST_HEAD, ...lines].join('\n')}\n`;
    const head = `\n\nAnalyze events for all VMs, all VCPUs:\n\n${classicHead(TITLES[this.#what])}\n\n`;
    const total = `\nTotal Samples:${samples}, Total events handled time:${us(time)}.\n\n`;
    return `${head}${lines.map((l) => `${l}\n`).join('')}${total}`;
  }
}

interface Shares {
  readonly samples: number;
  readonly time: number;
}

const us = (ns: number): string => `${(ns / 1000).toFixed(2)}us`;
const percent = (n: number): string => `${n.toFixed(2)}%`;

function classicHead(title: string): string {
  const cells = [title.padStart(20), 'Samples'.padStart(10), 'Samples%'.padStart(9), 'Time%'.padStart(9)];
  return `${[...cells, 'Min Time'.padStart(11), 'Max Time'.padStart(11), 'Avg time'.padStart(16)].join(' ')} `;
}

function classicRow(name: string, t: Times, shares: Shares): string {
  const cells = [
    name.padStart(20),
    String(t.count).padStart(10),
    percent(shares.samples).padStart(9),
    percent(shares.time).padStart(9),
    us(t.min).padStart(11),
    us(t.max).padStart(11),
    us(t.mean).padStart(11),
  ];
  return `${cells.join(' ')} ( +-${percent(t.relative).padStart(8)} )`;
}

const HIST_HEAD =
  'Event name                Samples   Sample%    Time (ns)     Time%   Max Time (ns)   Min Time (ns)  Mean Time (ns)';

function histRow(name: string, t: Times, shares: Shares): string {
  const whole = (n: number): string => String(Math.round(n));
  return [
    name.padEnd(20),
    whole(t.count).padStart(13),
    percent(shares.samples).padStart(10),
    whole(t.total).padStart(13),
    percent(shares.time).padStart(10),
    whole(t.max).padStart(16),
    whole(t.min).padStart(16),
    whole(t.mean).padStart(16),
  ].join('');
}

/** An exit's name as perf prints it: SVM's in small letters, without trace-cmd's prefix. */
function perfReason(reason: string): string {
  return reason.startsWith('EXIT_') ? reason.slice('EXIT_'.length).toLowerCase() : reason;
}
