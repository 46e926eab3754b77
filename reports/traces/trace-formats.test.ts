/** Perfetto's JSON against the format's documentation, and perf's tables against what perf prints. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { loadText } from '../../scenarios/data/recordings.ts';
import { read } from '../../scenarios/traces/read/testing.ts';
import { ExitBuilder } from '../../scenarios/traces/read/vm-exit.ts';
import { PerfKvmStat } from './perf-kvm.ts';
import { PerfettoWriter } from './perfetto.ts';

const whole = z.int().nonnegative();
const micro = z.number().nonnegative();
const named = { name: z.string().min(1), pid: whole, tid: whole };

/** The "Trace Event Format": complete events, instants with a scope, counters with a number a series, metadata. */
const TRACE = z.strictObject({
  displayTimeUnit: z.enum(['ms', 'ns']),
  traceEvents: z.array(
    z.discriminatedUnion('ph', [
      z.strictObject({
        ph: z.literal('X'),
        ...named,
        cat: z.string(),
        ts: micro,
        dur: micro,
        args: z.looseObject({}),
      }),
      z.strictObject({
        ph: z.literal('i'),
        ...named,
        cat: z.string(),
        ts: micro,
        s: z.enum(['g', 'p', 't']),
        args: z.looseObject({}),
      }),
      z.strictObject({ ph: z.literal('C'), ...named, ts: micro, args: z.record(z.string(), z.number()) }),
      z.strictObject({
        ph: z.literal('M'),
        ...named,
        name: z.enum(['process_name', 'thread_name']),
        args: z.strictObject({ name: z.string() }),
      }),
    ]),
  ),
});
type Slice = Extract<z.infer<typeof TRACE>['traceEvents'][number], { ph: 'X' }>;

function perfetto(lines: readonly string[]): z.infer<typeof TRACE> {
  let text = '';
  const writer = new PerfettoWriter((piece) => {
    text += piece;
  });
  const builder = new ExitBuilder(writer);
  writer.begin('a trace');
  for (const event of read(lines).events) builder.event(event);
  builder.end();
  writer.end();
  return TRACE.parse(JSON.parse(text));
}

const of = <P extends string>(t: z.infer<typeof TRACE>, ph: P) => t.traceEvents.filter((e) => e.ph === ph);

test('a real boot is valid, has a slice for every exit, and its counter adds up to them', () => {
  const trace = perfetto(loadText('seabios-boot.ftrace.gz').trimEnd().split('\n'));
  const slices = of(trace, 'X') as Slice[];
  // One event in the recording has no exit before it.
  expect(slices.filter((s) => s.cat === 'kvm')).toHaveLength(10_702 + 1);
  expect(slices.filter((s) => s.cat === 'userspace').length).toBeGreaterThan(6_000);
  const counted = trace.traceEvents.reduce(
    (sum, e) => sum + (e.ph === 'C' ? (e.args['exits/s'] ?? 0) : 0),
    0,
  );
  expect(Math.round(counted / 100)).toBe(10_702 + 1);
});

test('slices of one track nest and never overlap: what Perfetto asks of them', () => {
  const trace = perfetto(loadText('seabios-boot.ftrace.gz').trimEnd().split('\n'));
  const exits = (of(trace, 'X') as Slice[]).filter((s) => s.cat === 'kvm');
  exits.forEach((slice, i) => {
    const next = exits[i + 1];
    if (next !== undefined) expect(slice.ts + slice.dur).toBeLessThanOrEqual(next.ts + 0.001);
  });
});

test('slot changes are instants where they happened', () => {
  const trace = perfetto([
    ' q-1 [000] .... 1.000000: kvm_exit: vcpu 0 reason io rip 0x1 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0',
    ' q-1 [000] .... 1.000100: kvm_userspace_exit: reason KVM_EXIT_IO (2)',
    ' q-1 [000] .... 1.000200: tracing_mark_write: kvm_set_user_memory AddrSpace#0 Slot#3 flags=0x2 gpa=0xe0000 size=0x0 ua=0x0 ret=0',
  ]);
  expect(of(trace, 'i')).toMatchObject([{ name: 'delete slot 3', cat: 'memslot', ts: 1_000_100, s: 'p' }]);
});

const LINES = [
  ' q-1 [000] .... 1.000000: kvm_entry: vcpu 0',
  ' q-1 [000] .... 1.000010: kvm_exit: vcpu 0 reason npf rip 0x1 info1 0x6 info2 0xf0000 intr_info 0x0 error_code 0x0',
  ' q-1 [000] .... 1.000012: kvm_mmio: mmio write len 4 gpa 0xf0000 val 0x1',
  ' q-1 [000] .... 1.000020: kvm_entry: vcpu 0',
  ' q-1 [000] .... 1.000030: kvm_exit: vcpu 0 reason npf rip 0x1 info1 0x4 info2 0xf0000 intr_info 0x0 error_code 0x0',
  ' q-1 [000] .... 1.000031: kvm_mmio: mmio unsatisfied-read len 4 gpa 0xf0000 val 0x0',
  ' q-1 [000] .... 1.000050: kvm_mmio: mmio read len 4 gpa 0xf0000 val 0x1',
  ' q-1 [000] .... 1.000060: kvm_entry: vcpu 0',
  ' q-1 [000] .... 1.000070: kvm_exit: vcpu 0 reason io rip 0x1 info1 0x700010 info2 0x0 intr_info 0x0 error_code 0x0',
  ' q-1 [000] .... 1.000071: kvm_pio: pio_write at 0x70 size 1 count 1 val 0x1 ',
  ' q-1 [000] .... 1.000073: kvm_entry: vcpu 0',
];

function stat(event: 'vmexit' | 'mmio' | 'ioport', lines = LINES): PerfKvmStat {
  const counted = new PerfKvmStat(event);
  for (const e of read(lines).events) counted.event(e);
  return counted;
}

test('perf kvm stat report before 6.4: columns as wide as perf makes them', () => {
  expect(stat('vmexit').text('classic', 'sample')).toBe(
    [
      '\n\nAnalyze events for all VMs, all VCPUs:\n',
      '             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time \n',
      '                 npf          2    66.67%    93.02%     10.00us     30.00us     20.00us ( +-  50.00% )',
      '                  io          1    33.33%     6.98%      3.00us      3.00us      3.00us ( +-   0.00% )',
      '\nTotal Samples:3, Total events handled time:43.00us.\n\n',
    ].join('\n'),
  );
});

test('perf kvm stat report from 6.4 on', () => {
  expect(stat('vmexit').text('hist', 'time').split('\n')).toEqual([
    'Event name                Samples   Sample%    Time (ns)     Time%   Max Time (ns)   Min Time (ns)  Mean Time (ns)',
    'npf                             2    66.67%        40000    93.02%           30000           10000           20000',
    'io                              1    33.33%         3000     6.98%            3000            3000            3000',
    '',
  ]);
});

test('MMIO writes run from their event to the entry, reads from the exit to the answer; ports likewise', () => {
  const rows = (event: 'mmio' | 'ioport'): (string | undefined)[] =>
    stat(event)
      .text('hist', 'time')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((l) => l.replace(/ +/g, ' ').split(' ').slice(0, 4).join(' '));
  expect(rows('mmio')).toEqual(['0xf0000:R 1 50.00% 20000', '0xf0000:W 1 50.00% 8000']);
  expect(rows('ioport')).toEqual(['0x70:POUT 1 100.00% 2000']);
});
